// What codecs make of gradients that a job has dumped: how many bytes are left
// of them, and how far the sum of two sites is off.
//
//   codec_errors FOLDER [CODEC...]
//
// FOLDER has files grad_rankR_stepS.f32, little-endian f32, as
// train_two_sites --dump writes them. The first half of the ranks are one
// site, the others the other one.
#include <longhaul/codec.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "codec/codec.h"

namespace longhaul {
namespace {

using Floats = std::vector<float>;

// By step, by rank.
using Dumps = std::map<int, std::map<int, Floats>>;

Floats ReadFloats(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Floats values(std::filesystem::file_size(path) / sizeof(float));
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

Dumps ReadDumps(const char* folder) {
  Dumps dumps;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    int rank = 0;
    int step = 0;
    const std::string name = entry.path().filename().string();
    // NOLINTNEXTLINE(cert-err34-c): what does not fit is no dump
    if (std::sscanf(name.c_str(), "grad_rank%d_step%d.f32", &rank, &step) ==
        2) {
      dumps[step][rank] = ReadFloats(entry.path());
    }
  }
  return dumps;
}

// Of the ranks of one half.
Floats SiteSum(const std::map<int, Floats>& ranks, size_t site) {
  const size_t half = std::max<size_t>(ranks.size() / 2, 1);
  Floats sum;
  size_t index = 0;
  for (const auto& [rank, values] : ranks) {
    if (index++ / half != site) continue;
    sum.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
  }
  return sum;
}

struct Seen {
  double plain = 0;  // bytes
  double coded = 0;
  double squares = 0;  // of the exact sum
  double errors = 0;   // squares of what it is off by
};

void Look(const Codec& codec, const Floats& a, const Floats& b, Seen* seen) {
  Floats sum(a.size());
  for (const Floats* site : {&a, &b}) {
    std::vector<uint8_t> code(codec.EncodedSize(site->size()));
    code.resize(codec.Encode(site->data(), site->size(), code.data()));
    if (!codec.DecodeAdd(code.data(), code.size(), site->size(), sum.data())) {
      std::fputs("a code does not decode\n", stderr);
    }
    seen->plain += static_cast<double>(site->size() * sizeof(float));
    seen->coded += static_cast<double>(code.size());
  }
  for (size_t i = 0; i < sum.size(); ++i) {
    const double exact = double{a[i]} + double{b[i]};
    const double off = double{sum[i]} - exact;
    seen->squares += exact * exact;
    seen->errors += off * off;
  }
}

int Run(const char* folder, const std::vector<std::string>& codecs) {
  const Dumps dumps = ReadDumps(folder);
  if (dumps.empty()) {
    std::fprintf(stderr,
                 "%s has no files grad_rankR_stepS.f32: have train_two_sites "
                 "--dump %s --dump-at STEP,... write some\n",
                 folder, folder);
    return 1;
  }
  std::printf("| codec | bytes fewer | relative L2 error, 2 sites |\n");
  std::printf("|---|---:|---:|\n");
  for (const std::string& text : codecs) {
    const Result<CodecSpec> spec = CodecSpec::Parse(text);
    const Result<Codec> codec = spec.ok()
                                    ? Codec::Create(*spec, DataType::kFloat32)
                                    : Result<Codec>(spec.status());
    if (!codec.ok()) {
      std::fprintf(stderr, "%s\n", codec.status().ToString().c_str());
      return 2;
    }
    Seen seen;
    for (const auto& [step, ranks] : dumps) {
      const Floats a = SiteSum(ranks, 0);
      const Floats b = ranks.size() > 1 ? SiteSum(ranks, 1) : a;
      if (a.size() == b.size()) Look(*codec, a, b, &seen);
    }
    std::printf("| %s | %.3f | %.3f %% |\n", text.c_str(),
                seen.plain / seen.coded,
                100 * std::sqrt(seen.errors / seen.squares));
  }
  return 0;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(argc < 2 ? stderr : stdout,
                 "usage: codec_errors FOLDER [CODEC...]\n\nWhat codecs make of "
                 "the gradients in FOLDER, grad_rankR_stepS.f32 as\n"
                 "train_two_sites --dump writes them: bytes, and how far the "
                 "sum of two sites is off.\n");
    return argc < 2 ? 2 : 0;
  }
  std::vector<std::string> codecs(argv + 2, argv + argc);
  if (codecs.empty()) {
    codecs = {"bf16",        "int8", "int8:rotate", "int4",
              "int4:rotate", "e4m3", "e5m2",        "lossless"};
  }
  return longhaul::Run(argv[1], codecs);
}
