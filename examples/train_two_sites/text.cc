#include "text.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "random.h"

namespace train {
namespace {

using longhaul::Result;
using longhaul::Status;
using longhaul::StatusCode;

constexpr uint64_t kWordsPurpose = 2;  // of random numbers
constexpr uint64_t kTextPurpose = 3;
constexpr uint64_t kFirstDraw = 16;
constexpr size_t kStretch = 1000;  // of text, trained on or held out as one
constexpr size_t kHeldOut = 10;    // every so many stretches, one

// Words of two to seven letters, each letter one of three that may follow the
// one before; some words are much more frequent than others.
std::string Generated() {
  constexpr size_t kLength = 60'000;
  constexpr size_t kWords = 200;
  Random random(1, kWordsPurpose);
  std::array<std::array<char, 3>, 26> after{};
  for (auto& letters : after) {
    for (char& letter : letters) {
      letter = static_cast<char>('a' + random.Below(after.size()));
    }
  }
  std::vector<std::string> words;
  while (words.size() < kWords) {
    std::string word(1, static_cast<char>('a' + random.Below(after.size())));
    for (size_t more = 1 + random.Below(6); more > 0; --more) {
      const auto& next = after[static_cast<size_t>(word.back() - 'a')];
      word += next[random.Below(next.size())];
    }
    words.push_back(std::move(word));
  }
  Random order(1, kTextPurpose);
  std::string text;
  while (text.size() < kLength) {
    text += words[order.Below(1 + order.Below(kWords))];
    text += order.Below(10) == 0 ? '\n' : ' ';
  }
  return text;
}

Status Unusable(const std::string& what) {
  return {StatusCode::kInvalidArgument,
          what +
              "; --data FOLDER names a folder of text files, --data generated "
              "needs none (on Debian, /usr/share/common-licenses is of the "
              "package base-files)"};
}

// The files' contents, in the order of their names.
Result<std::vector<std::string>> Read(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code fault;
  std::vector<fs::path> files;
  fs::directory_iterator at(folder, fault);
  for (; !fault && at != fs::directory_iterator(); at.increment(fault)) {
    if (fs::is_regular_file(at->path(), fault)) files.push_back(at->path());
    fault.clear();  // a link to nowhere
  }
  if (fault) {
    return Unusable("cannot read the folder " + folder + ": " +
                    fault.message());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> contents;
  std::set<std::string> seen;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(in), {}};
    if (!in) return Unusable("cannot read " + file.string());
    if (seen.insert(content).second) contents.push_back(std::move(content));
  }
  return contents;
}

}  // namespace

Result<Text> Text::Load(const std::string& where) {
  std::vector<std::string> contents{Generated()};
  if (where != "generated") {
    Result<std::vector<std::string>> files = Read(where);
    if (!files.ok()) return files.status();
    contents = std::move(files).value();
  }
  std::array<bool, 256> occurs{};
  for (const std::string& content : contents) {
    for (const char c : content) occurs[static_cast<uint8_t>(c)] = true;
  }
  Text text;
  std::array<uint8_t, 256> number{};
  for (size_t c = 0; c < occurs.size(); ++c) {
    if (occurs[c]) number[c] = static_cast<uint8_t>(text.vocabulary++);
  }
  for (const std::string& content : contents) {
    for (size_t i = 0; i < content.size(); ++i) {
      auto& part = i / kStretch % kHeldOut == kHeldOut - 1 ? text.held_out
                                                           : text.training;
      part.push_back(number[static_cast<uint8_t>(content[i])]);
    }
  }
  if (text.held_out.size() < kStretch) {
    return Unusable("there are less than 10000 characters in " + where);
  }
  return text;
}

Batch Draw(const std::vector<uint8_t>& text, size_t context, uint64_t seed,
           uint64_t draw, size_t begin, size_t count) {
  Random random(seed, kFirstDraw + draw);
  for (size_t i = 0; i < begin; ++i) random.Next();
  Batch batch;
  batch.size = count;
  batch.contexts.reserve(count * context);
  batch.targets.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t place = context + random.Below(text.size() - context);
    const auto target = text.begin() + static_cast<std::ptrdiff_t>(place);
    batch.contexts.insert(batch.contexts.end(),
                          target - static_cast<std::ptrdiff_t>(context),
                          target);
    batch.targets.push_back(*target);
  }
  return batch;
}

}  // namespace train
