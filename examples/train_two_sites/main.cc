// train_two_sites: a small model, trained by ranks in several sites.
#include <longhaul/longhaul.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "curve.h"
#include "settings.h"
#include "text.h"
#include "trainer.h"

namespace {

using longhaul::Communicator;
using longhaul::Context;
using longhaul::Result;
using longhaul::Status;

volatile std::sig_atomic_t stop = 0;

// The second signal ends the process.
void StopOnce(int number) {
  stop = 1;
  std::signal(number, SIG_DFL);
}

Status Train(const train::Settings& settings) {
  Result<train::Text> text = train::Text::Load(settings.data);
  if (!text.ok()) return text.status();
  Result<longhaul::Options> options = longhaul::Options::FromEnvironment();
  if (!options.ok()) return options.status();
  Result<std::unique_ptr<Context>> context = Context::Create(*options);
  if (!context.ok()) return context.status();
  Result<std::unique_ptr<Communicator>> world = Communicator::Create(**context);
  if (!world.ok()) return world.status();
  const bool writes = (*world)->rank() == 0;
  std::optional<train::Curve> curve;
  if (writes) {
    Result<train::Curve> opened = train::Curve::Open(settings.csv);
    if (!opened.ok()) return opened.status();
    curve.emplace(std::move(opened).value());
  }
  // From here on a signal is seen at the next step.
  std::signal(SIGINT, StopOnce);
  std::signal(SIGTERM, StopOnce);
  train::Trainer trainer(**world, settings, *text, stop);
  if (writes) {
    std::fprintf(stderr,
                 "%zu parameters, %d ranks in %d sites, %zu characters of %zu "
                 "kinds to learn\n",
                 trainer.parameter_count(), (*world)->size(),
                 (*world)->site_count(), text->training.size(),
                 text->vocabulary);
  }
  return trainer.Run(curve ? &*curve : nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const Result<train::Settings> settings = train::Parse(argc, argv);
  if (!settings.ok()) {
    std::fprintf(stderr, "train_two_sites: %s\n",
                 settings.status().text().c_str());
    return 2;
  }
  if (settings->help) {
    std::fputs(train::Usage().c_str(), stdout);
    return 0;
  }
  const Status status = Train(*settings);
  if (status.ok()) return 0;
  std::fprintf(stderr, "train_two_sites: %s\n", status.ToString().c_str());
  return 1;
}
