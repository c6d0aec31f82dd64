#include "base/text.h"

namespace longhaul {

std::string VaText(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(length < 0 ? 0 : static_cast<size_t>(length), '\0');
  if (length > 0) {
    std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  }
  return text;
}

std::string Text(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = VaText(format, arguments);
  va_end(arguments);
  return text;
}

}  // namespace longhaul
