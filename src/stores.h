/* SPDX-License-Identifier: MIT
 *
 * Models of other programs on this machine, opened where they are and never written:
 * those of ollama and of LM Studio.
 *
 *   OLLAMA/manifests/HOST/NAMESPACE/NAME/TAG   JSON; a layer of it names a blob
 *   OLLAMA/blobs/sha256-HEX                    a plain GGUF file
 *   LMSTUDIO/PUBLISHER/REPO/FILE.gguf
 */
#ifndef HADAL_STORES_H
#define HADAL_STORES_H

#include "src/hub.h"

/* Every model, as ollama/NAME:TAG or PUBLISHER/REPO/FILE.gguf, and its file's path. */
void stores_each_of_ollama(hub_file_fn fn, void *ctx);
void stores_each_of_lm_studio(hub_file_fn fn, void *ctx);

/* The SHA-256 that a blob of ollama's has for its name, inside path; else "". */
const char *stores_digest_of(const char *path);

#endif
