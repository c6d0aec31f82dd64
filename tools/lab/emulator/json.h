// Writes one JSON object, member by member.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace longhaul::lab {

class JsonObject {
 public:
  void Add(std::string_view key, bool value);
  void Add(std::string_view key, double value);
  void Add(std::string_view key, uint64_t value);
  void Add(std::string_view key, std::string_view value);
  void Add(std::string_view key, std::span<const double> values);
  void Add(std::string_view key, JsonObject&& value);

  std::string Text() && { return std::move(text_) + '}'; }

 private:
  void Key(std::string_view key);

  std::string text_ = "{";
};

}  // namespace longhaul::lab
