typedef int history_placeholder;
