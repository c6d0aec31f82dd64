// printf into std::string, checked by the compiler. For messages, not for data
// paths.
//
// Any thread.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace longhaul {

[[gnu::format(printf, 1, 2)]] std::string Text(const char* format, ...);
std::string VaText(const char* format, va_list arguments);

}  // namespace longhaul
