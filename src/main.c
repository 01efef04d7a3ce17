/* SPDX-License-Identifier: MIT
 *
 * main: see sources.am; grows in the next commits.
 */
#include "config.h"

#include <stdio.h>

int main(void)
{
    puts("hadal " PACKAGE_VERSION);
    return 0;
}
