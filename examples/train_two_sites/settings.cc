#include "settings.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <string_view>

namespace train {
namespace {

using longhaul::Result;
using longhaul::Status;
using longhaul::StatusCode;

constexpr const char* kDescription =
    R"(usage: train_two_sites [OPTION...]

Trains a small language model, which says what character of a text comes next,
by ranks that share the work: every rank has the same weights and a part of each
batch, and one all-reduce per step averages the gradients. One process is one
rank; LONGHAUL_RENDEZVOUS, LONGHAUL_RANK, LONGHAUL_WORLD_SIZE and LONGHAUL_SITE
say which. What crosses between sites is encoded with LONGHAUL_COMPRESS=int4,
say; LONGHAUL_ERROR_FEEDBACK=1 keeps what codes leave out for the next step.

Rank 0 writes a table, comma-separated: step, seconds (of training; validations
are not counted), training_loss (mean since the line before), validation_loss
(on text that is never trained on; both in nats per character), wan_bytes (sent
between sites since the start, by all ranks). At the end all ranks make sure
that they hold the same weights, bit by bit.

)";

constexpr const char* kEpilogue = R"(
Ctrl-C ends the training on all ranks after the step under way.
Exit code: 0 all is well, or was until Ctrl-C; 1 a fault; 2 wrong usage.

Example, on one machine:
  for rank in 0 1 2 3; do
    LONGHAUL_RENDEZVOUS=127.0.0.1:29500 LONGHAUL_WORLD_SIZE=4 \
    LONGHAUL_RANK=$rank LONGHAUL_SITE=site$((rank / 2)) LONGHAUL_COMPRESS=int4 \
        train_two_sites --steps 100 &
  done; wait
examples/train_two_sites/run does it over an emulated line, for several codecs.
)";

bool ReadCount(std::string_view text, uint64_t& value) {
  const auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return fault == std::errc() && end == text.data() + text.size();
}

struct Option {
  const char* name;
  const char* value;  ///< what stands for it in --help
  const char* help;
  std::function<bool(std::string_view, Settings&)> read;
};

Option Text(const char* name, const char* value, const char* help,
            std::string Settings::*field) {
  return {name, value, help, [field](std::string_view text, Settings& into) {
            into.*field = text;
            return !text.empty();
          }};
}

Option Count(const char* name, const char* help, uint64_t Settings::*field,
             uint64_t least = 1) {
  return {name, "N", help,
          [field, least](std::string_view text, Settings& into) {
            return ReadCount(text, into.*field) && into.*field >= least;
          }};
}

bool ReadRate(std::string_view text, Settings& into) {
  const auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), into.rate);
  return fault == std::errc() && end == text.data() + text.size() &&
         into.rate > 0 && into.rate < 1;
}

bool ReadSteps(std::string_view text, Settings& into) {
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    uint64_t step = 0;
    if (!ReadCount(text.substr(0, comma), step) || step == 0) return false;
    into.dump_at.push_back(step);
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

std::vector<Option> Options() {
  return {
      Text("--data", "FOLDER",
           "what to learn; generated: made up (/usr/share/common-licenses)",
           &Settings::data),
      Count("--seed", "of the first weights and of what is drawn (1)",
            &Settings::seed, 0),
      Count("--steps", "of training (600)", &Settings::steps),
      Count("--batch", "places of the text per step, over all ranks (256)",
            &Settings::batch),
      Count("--hidden", "width of the model's layers (448)", &Settings::hidden),
      {"--rate", "R", "learning rate, at its highest (0.002)", ReadRate},
      Count("--every", "steps between two lines of the table (20)",
            &Settings::every),
      Count("--validation",
            "places of held-out text per validation, over all ranks (4096)",
            &Settings::validation),
      Text("--csv", "FILE", "the table; -: standard output (-)",
           &Settings::csv),
      Text("--dump", "FOLDER",
           "each rank's own gradients, to FOLDER/grad_rankR_stepS.f32",
           &Settings::dump),
      {"--dump-at", "STEP,...", "after which steps' work; the first is 1",
       ReadSteps},
  };
}

Status Wrong(const std::string& what) {
  return {StatusCode::kInvalidArgument, what + " (--help)"};
}

}  // namespace

Result<Settings> Parse(int argc, const char* const* argv) {
  const std::vector<Option> options = Options();
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      settings.help = true;
      return settings;
    }
    const auto option =
        std::find_if(options.begin(), options.end(),
                     [&](const Option& each) { return each.name == name; });
    if (option == options.end()) {
      return Wrong(name + ": there is no such option");
    }
    if (++i == argc) return Wrong(name + " needs a value: " + option->value);
    if (!option->read(argv[i], settings)) {
      return Wrong(name + " " + argv[i] + ": " + option->help);
    }
  }
  if (settings.dump.empty() != settings.dump_at.empty()) {
    return Wrong("--dump and --dump-at go together");
  }
  return settings;
}

std::string Usage() {
  std::string text = kDescription;
  for (const Option& option : Options()) {
    std::string left = std::string("  ") + option.name + " " + option.value;
    left.resize(std::max<size_t>(left.size() + 2, 22), ' ');
    text += left + option.help + "\n";
  }
  return text + kEpilogue;
}

}  // namespace train
