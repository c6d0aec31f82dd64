#include "lab/emulator/json.h"

#include <array>
#include <cstdio>
#include <utility>

namespace longhaul::lab {
namespace {

std::string Number(double value) {
  std::array<char, 32> text;
  const int n = std::snprintf(text.data(), text.size(), "%.10g", value);
  return {text.data(), static_cast<size_t>(n)};
}

std::string Quoted(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return text + '"';
}

}  // namespace

void JsonObject::Key(std::string_view key) {
  if (text_.size() > 1) text_ += ',';
  text_ += Quoted(key) + ':';
}

void JsonObject::Add(std::string_view key, bool value) {
  Key(key);
  text_ += value ? "true" : "false";
}

void JsonObject::Add(std::string_view key, double value) {
  Key(key);
  text_ += Number(value);
}

void JsonObject::Add(std::string_view key, uint64_t value) {
  Key(key);
  text_ += std::to_string(value);
}

void JsonObject::Add(std::string_view key, std::string_view value) {
  Key(key);
  text_ += Quoted(value);
}

void JsonObject::Add(std::string_view key, std::span<const double> values) {
  Key(key);
  const char* separator = "[";
  for (const double value : values) {
    text_ += separator + Number(value);
    separator = ",";
  }
  text_ += ']';
}

void JsonObject::Add(std::string_view key, JsonObject&& value) {
  Key(key);
  text_ += std::move(value).Text();
}

}  // namespace longhaul::lab
