#include "command/commands.h"

#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "collective/codecs.h"
#include "command/info.h"
#include "command/nccl_conf.h"
#include "doctor/checks.h"
#include "doctor/gather.h"
#include "doctor/report.h"
#include "plan/plan_report.h"

namespace longhaul::command {
namespace {

int Complain(const char* subcommand, const Status& status) {
  (void)std::fprintf(stderr, "longhaul %s: %s\n", subcommand,
                     status.text().c_str());
  return kExitUsage;
}

// False if stdout took less than all, a closed pipe or a full disk.
bool Print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

int PrintOr(const char* subcommand, const std::string& text, int exit_code) {
  if (Print(text)) return exit_code;
  return Complain(subcommand,
                  {StatusCode::kInvalidArgument, "cannot write to stdout"});
}

std::string AbsolutePath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  std::string absolute = resolved == nullptr ? path : resolved;
  std::free(resolved);
  return absolute;
}

Result<nccl::Line> LineOf(const std::string& topology) {
  const Result<TopologyFile> file = TopologyFile::Read(topology);
  return file.ok() ? nccl::HeaviestLine(*file) : file.status();
}

// The command line's, else the topology file's, else what longhaul assumes.
Result<doctor::WanNeed> NeedOf(const DoctorRequest& request,
                               const doctor::HostFacts& facts) {
  doctor::WanNeed need;
  if (request.rate || request.round_trip) {
    need.rate = request.rate.value_or(need.rate);
    need.round_trip = request.round_trip.value_or(need.round_trip);
    need.origin = !request.rate         ? "rate assumed: give --wan-rate"
                  : !request.round_trip ? "round trip assumed: give --rtt"
                                        : "as given";
    return need;
  }
  const bool given = !request.topology.empty();
  const std::string& file = given ? request.topology : facts.options.topology;
  if (file.empty()) {
    need.origin = "assumed: give --wan-rate and --rtt, or --topology";
    return need;
  }
  const Result<nccl::Line> line = LineOf(file);
  if (!line.ok() && given) return line.status();
  if (!line.ok()) {  // a finding, where the environment names the file
    need.origin = "assumed; " + line.status().text();
    return need;
  }
  need.rate = line->rate;
  need.round_trip = line->round_trip;
  need.origin = file + ", " + line->ToString();
  return need;
}

}  // namespace

int RunNcclConf(const NcclConfRequest& request) {
  const Result<nccl::Line> line = LineOf(request.topology);
  if (!line.ok()) return Complain("nccl-conf", line.status());
  const Result<std::string> text =
      NcclConf(nccl::Advise(*line, request.job), request.job,
               AbsolutePath(request.topology));
  if (!text.ok()) return Complain("nccl-conf", text.status());
  if (request.output.empty()) return PrintOr("nccl-conf", *text, kExitOk);
  const Status written = WriteNewFile(request.output, *text, request.force);
  if (!written.ok()) return Complain("nccl-conf", written);
  return PrintOr(
      "nccl-conf",
      Text("export NCCL_CONF_FILE=%s\n", AbsolutePath(request.output).c_str()),
      kExitOk);
}

int RunDoctor(const DoctorRequest& request, const char* const* environment) {
  const doctor::HostFacts facts = doctor::GatherHostFacts(environment);
  const Result<doctor::WanNeed> need = NeedOf(request, facts);
  if (!need.ok()) return Complain("doctor", need.status());
  const std::vector<doctor::Finding> findings = doctor::Examine(facts, *need);
  const auto report = request.json ? doctor::ReportJson : doctor::ReportText;
  return PrintOr("doctor", report(facts.host, *need, findings),
                 doctor::Worst(findings) == doctor::Verdict::kProblem
                     ? kExitFindings
                     : kExitOk);
}

// What is said of segments and codecs in the environment counts here too.
int RunPlan(const PlanRequest& request, const char* const* environment) {
  const Result<Options> options = Options::FromEnvironment(environment);
  if (!options.ok()) return Complain("plan", options.status());
  plan::Job job = request.job;
  job.segments.segment_size = options->segment_size;
  job.segments.scratch_size = options->scratch_size;
  const Codecs codecs(options->compress);
  if (!codecs.chooses() && !codecs.offers().empty()) {
    const CodecOffer& offer = codecs.offers()[0];
    if (const Codec* codec = offer.For(job.type, ReduceOp::kSum)) {
      job.codec = codecs.spec();
      job.segments.code_share = job.cost.code_share = CodeShare(*codec);
    }
  }
  const Result<TopologyFile> file = TopologyFile::Read(request.topology);
  if (!file.ok()) return Complain("plan", file.status());
  const Result<Topology> topology = plan::TopologyFor(*file, job);
  if (!topology.ok()) return Complain("plan", topology.status());
  const SiteShares shares = SharesOf(*topology);
  std::vector<plan::Choice> choices;
  for (const uint64_t bytes : request.sizes) {
    Result<plan::Choice> choice =
        plan::ChooseFor(bytes, *topology, shares, job);
    if (!choice.ok()) return Complain("plan", choice.status());
    choices.push_back(*std::move(choice));
  }
  const auto report = request.json ? plan::PlanJson : plan::PlanText;
  return PrintOr(
      "plan", report(request.topology, *file, *topology, shares, job, choices),
      kExitOk);
}

int RunInfo(const InfoRequest& request, const char* const* environment) {
  const Result<Options> options = Options::FromEnvironment(environment);
  if (!options.ok()) {
    (void)Complain("info", options.status());
    return kExitFindings;
  }
  return PrintOr("info", InfoText(*options, environment, request.full),
                 kExitOk);
}

}  // namespace longhaul::command
