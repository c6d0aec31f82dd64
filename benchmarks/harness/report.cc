#include "harness/report.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/text.h"

// unistd.h declares it only under _GNU_SOURCE.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace longhaul::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 2;  // nccl-tests'

// What steers a run. The rest of the environment is nobody's business.
Json Environment() {
  Json found = Json::array();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("LONGHAUL_") || text.starts_with("NCCL_TESTS_")) {
      found.push_back(std::string(text));
    }
  }
  return found;
}

Json Config(const Report& report) {
  const Settings& s = *report.settings;
  Json config{{"nthreads", 1},
              {"ngpus", 1},
              {"minimum_bytes", s.min_bytes},
              {"maximum_bytes", s.max_bytes}};
  if (s.step_factor > 1) {
    config["step_factor"] = s.step_factor;
  } else {
    config["step_bytes"] = s.step_bytes;
  }
  config["warmup_iters"] = s.warm_up;
  config["iterations"] = s.iterations;
  config["aggregated_iterations"] = s.aggregate;
  config["validation"] = s.checks;
  config["blocking_collectives"] = static_cast<int>(s.blocking);
  config["per_iter_timing"] = s.per_iteration;
  config["average"] = static_cast<int>(s.across);
  config["sites"] = report.sites;
  config["common_start"] = report.shares_clock ? "clock" : "barrier";
  config["late_starts"] = report.late_starts;
  if (s.bound) {
    config["link"] = {{"rate_bits_per_second", s.bound->rate},
                      {"delay_seconds", s.bound->delay}};
  }
  config["devices"] = Json::array();
  for (const RankInfo& rank : report.ranks) {
    config["devices"].push_back({{"rank", rank.rank},
                                 {"group", 0},
                                 {"pid", rank.pid},
                                 {"hostname", rank.host},
                                 {"device", 0},
                                 {"device_info", rank.what}});
  }
  return config;
}

Json Half(const HalfRow& half, const Measurement& measured,
          const char* time_key) {
  Json json{{time_key, half.time_us},
            {"alg_bw", half.algorithm_bandwidth},
            {"bus_bw", half.bus_bandwidth}};
  json["nwrong"] = half.wrong ? Json(*half.wrong) : Json(nullptr);
  json["checked"] = measured.checked;
  const Statistics all = Summarise(measured.times_us);
  json["median_us"] = all.median;
  json["min_us"] = all.min;
  json["max_us"] = all.max;
  json["p25_us"] = all.p25;
  json["p75_us"] = all.p75;
  json["p99_us"] = all.p99;
  json["stdev_us"] = all.deviation;
  json["times_us"] = measured.times_us;
  return json;
}

Json Line(const Report& report, const Report::Line& line) {
  const Settings& s = *report.settings;
  const char* time_key = s.issue_time ? "cpu_time" : "time";
  Json json{{"size", line.row.bytes},
            {"count", line.row.count},
            {"type", line.row.type},
            {"redop", line.row.op},
            {"root", "-1"}};
  json["out_of_place"] =
      Half(line.row.out_of_place, line.result.out_of_place, time_key);
  json["in_place"] = Half(line.row.in_place, line.result.in_place, time_key);
  json["actual_iterations"] = s.iterations;
  json["experiment_name"] = "";
  if (!line.result.algorithm.empty()) {
    json["algorithm"] = line.result.algorithm;
  }
  if (s.bound) {
    const std::optional<double> bound =
        LowerBound(*s.bound, report.sites, line.row.bytes);
    json["lower_bound_us"] = bound ? Json(*bound * 1e6) : Json(nullptr);
  }
  if (line.result.wan) {
    const WanPerOperation& wan = *line.result.wan;
    json["wan"] = {
        {"sent_bytes", wan.sent},           {"resent_bytes", wan.resent},
        {"retransmits", wan.retransmits},   {"flows", wan.flows},
        {"credit_waits", wan.credit_waits}, {"path_sent_bytes", wan.path_sent}};
  }
  return json;
}

Json Path(const Report& report, const PathFacts& path) {
  return {{"rank", path.rank},
          {"peer", path.peer},
          {"path", path.name},
          {"state", path.state},
          {"flows", path.flows},
          {"sent_bytes", path.bytes_sent},
          {"received_bytes", path.bytes_received},
          {"payload_bytes", path.payload_sent},
          {"share", ShareOf(path, report.paths)},
          {"restriped_bytes", path.payload_restriped},
          {"goodput_bytes_per_second", path.goodput},
          {"limit_bytes_per_second", path.rate_limit},
          {"rtt_seconds", static_cast<double>(path.rtt) / kSecond},
          {"min_rtt_seconds", static_cast<double>(path.min_rtt) / kSecond},
          {"retransmits", path.retransmits},
          {"failures", path.failures},
          {"credit_waits", path.credit_waits}};
}

}  // namespace

std::string ToJson(const Report& report) {
  Json json{{"version", kFormatVersion}, {"start_time", report.start_time},
            {"program", report.program}, {"subject", report.subject},
            {"args", report.arguments},  {"env", Environment()},
            {"config", Config(report)}};
  json["results"] = Json::array();
  for (const Report::Line& line : report.lines) {
    json["results"].push_back(Line(report, line));
  }
  if (report.settings->wan) {
    json["paths"] = Json::array();
    for (const PathFacts& path : report.paths) {
      json["paths"].push_back(Path(report, path));
    }
  }
  for (const CodecFacts& codec : report.codecs) {
    json["codecs"].push_back({{"codec", codec.codec},
                              {"operations", codec.operations},
                              {"plain_bytes", codec.plain_bytes},
                              {"coded_bytes", codec.coded_bytes},
                              {"encode_seconds", codec.encode_seconds},
                              {"decode_seconds", codec.decode_seconds}});
  }
  json["out_of_bounds"] = {{"count", report.failures},
                           {"okay", report.failures == 0}};
  const bool checked = report.settings->min_bandwidth >= 0;
  json["average_bus_bandwidth"] = {
      {"bandwidth", report.average_bus_bandwidth},
      {"okay", checked ? Json(MeetsMinimum(*report.settings,
                                           report.average_bus_bandwidth))
                       : Json("unchecked")}};
  json["errors"] = report.errors;
  json["end_time"] = report.end_time;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status WriteReport(const Report& report, const std::string& path) {
  const std::string text = ToJson(report);
  std::FILE* file = std::fopen(path.c_str(), "we");
  const bool written =
      file != nullptr &&
      std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int error = errno;
  const bool closed = file == nullptr || std::fclose(file) == 0;
  if (written && closed) return {};
  return {StatusCode::kInvalidArgument,
          Text("cannot write the report %s: %s", path.c_str(),
               std::strerror(error))};
}

}  // namespace longhaul::bench
