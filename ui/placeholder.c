typedef int ui_placeholder;
