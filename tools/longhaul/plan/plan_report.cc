#include "plan/plan_report.h"

#include <algorithm>
#include <cinttypes>
#include <nlohmann/json.hpp>

#include "base/parse.h"
#include "base/text.h"
#include "collective/routes.h"
#include "collective/schedule.h"

namespace longhaul::plan {
namespace {

const SiteSpec& SpecOf(const TopologyFile& file, const Topology& topology,
                       SiteIndex site) {
  return file.sites[static_cast<size_t>(file.FindSite(topology.NameOf(site)))]
      .spec;
}

// A column of cells, and the table of such columns: as wide as need be.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { Add(std::move(head)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  // The first column to the left, the others to the right.
  std::string ToString() const {
    std::string text;
    for (const std::vector<std::string>& row : rows_) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i) {
        const int width = static_cast<int>(Width(i));
        line += Text("  %*s", i == 0 ? -width : width, row[i].c_str());
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  // The last cell of a row with fewer cells than the head may be a sentence.
  size_t Width(size_t column) const {
    size_t width = 0;
    for (const std::vector<std::string>& row : rows_) {
      const size_t cells =
          row.size() == rows_[0].size() ? row.size() : row.size() - 1;
      if (column < cells) width = std::max(width, row[column].size());
    }
    return width;
  }

  std::vector<std::vector<std::string>> rows_;
};

std::string Assumed(const std::string& text, bool stated) {
  return stated ? text : text + " (assumed)";
}

std::string Percent(double fraction) { return Text("%.1f %%", 100 * fraction); }

std::string SecondsText(double seconds) {
  if (seconds >= 1) return Text("%.3f s", seconds);
  return seconds >= 1e-3 ? Text("%.3f ms", seconds * 1e3)
                         : Text("%.3f us", seconds * 1e6);
}

std::string SitesText(const TopologyFile& file, const Topology& topology,
                      const SiteShares& shares) {
  std::vector<std::string> head = {"site", "ranks", "with WAN", "up", "down"};
  if (shares.sites() > 1) head.emplace_back("share, if sharded");
  Table table(head);
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    const SiteSpec& spec = SpecOf(file, topology, site);
    std::vector<std::string> row = {
        topology.NameOf(site), Text("%zu", topology.RanksOf(site).size()),
        Text("%zu", topology.WanRanksOf(site).size()),
        Assumed(RateText(topology.WanUp(site)), spec.wan_up.has_value()),
        Assumed(RateText(topology.WanDown(site)), spec.wan_down.has_value())};
    if (shares.sites() > 1) row.push_back(Percent(shares.FractionOf(site)));
    table.Add(std::move(row));
  }
  return table.ToString();
}

std::string LinesText(const Topology& topology) {
  Table table({"between", "delay, one way", "rate"});
  for (SiteIndex a = 0; a < topology.site_count(); ++a) {
    for (SiteIndex b = a + 1; b < topology.site_count(); ++b) {
      const std::string pair = topology.NameOf(a) + " - " + topology.NameOf(b);
      const std::span<const PathSpec> paths = topology.PathsBetween(a, b);
      if (paths.size() < 2) {
        table.Add({pair,
                   Assumed(TimeText(topology.DelayBetween(a, b)),
                           topology.HasDelay(a, b)),
                   RateText(std::min(LineRate(topology, a, b),
                                     LineRate(topology, b, a)))});
        continue;
      }
      for (const PathSpec& path : paths) {
        table.Add({pair,
                   path.delay
                       ? TimeText(*path.delay)
                       : Assumed(TimeText(topology.DelayBetween(a, b)), false),
                   path.rate ? RateText(*path.rate) : "that of the sites"});
      }
    }
  }
  return table.ToString();
}

// Segments that are not whole kibibytes are rounded up to them.
std::string SegmentsText(const SegmentPlan& plan, size_t element_size) {
  const uint64_t bytes = plan.segment_elements * element_size;
  const uint64_t shown = bytes < 1024 ? bytes : (bytes + 1023) / 1024 * 1024;
  return Text("%" PRIu64 " of %s", plan.segments, SizeText(shown).c_str());
}

std::vector<std::string> Row(const Candidate& candidate, const Choice& choice,
                             const Job& job) {
  const bool chosen = choice.chosen == candidate.algorithm;
  const std::string name =
      std::string(chosen ? "* " : "  ") + NameOf(candidate.algorithm);
  if (!candidate.refusal.ok()) {
    return {name, "not possible: " + candidate.refusal.text()};
  }
  std::vector<std::string> row = {
      name, SegmentsText(candidate.segments, SizeOf(job.type)),
      Text("%" PRIu64, candidate.segments.in_flight),
      SecondsText(candidate.seconds)};
  const auto ratio = [&](double seconds) {
    return choice.bound > 0 ? Text("%.2f", seconds / choice.bound) : "-";
  };
  row.push_back(ratio(candidate.seconds));
  if (!job.simulate) return row;
  row.push_back(candidate.simulated ? SecondsText(*candidate.simulated)
                                    : "too long");
  row.push_back(candidate.simulated ? ratio(*candidate.simulated) : "-");
  return row;
}

std::string ChoiceText(const Choice& choice, const Job& job) {
  std::string text = Text(
      "\n%s per rank (%" PRIu64 " %s): %s\nNothing can be faster than %s.\n",
      SizeText(choice.bytes).c_str(), choice.bytes / SizeOf(job.type),
      NameOf(job.type), choice.chosen ? NameOf(*choice.chosen) : "not possible",
      SecondsText(choice.bound).c_str());
  std::vector<std::string> head = {"  schedule", "segments", "at a time",
                                   "estimated", "of bound"};
  if (job.simulate) {
    head.emplace_back("simulated");
    head.emplace_back("of bound");
  }
  Table table(head);
  for (const Candidate& candidate : choice.candidates) {
    table.Add(Row(candidate, choice, job));
  }
  return text + table.ToString();
}

nlohmann::json SiteJson(const TopologyFile& file, const Topology& topology,
                        const SiteShares& shares, SiteIndex site) {
  const SiteSpec& spec = SpecOf(file, topology, site);
  nlohmann::json json = {{"name", topology.NameOf(site)},
                         {"ranks", topology.RanksOf(site).size()},
                         {"wan_ranks", topology.WanRanksOf(site).size()},
                         {"up_bits_per_second", topology.WanUp(site)},
                         {"up_stated", spec.wan_up.has_value()},
                         {"down_bits_per_second", topology.WanDown(site)},
                         {"down_stated", spec.wan_down.has_value()}};
  if (shares.sites() > 1) json["share"] = shares.FractionOf(site);
  return json;
}

nlohmann::json LinesJson(const Topology& topology) {
  nlohmann::json lines = nlohmann::json::array();
  for (SiteIndex a = 0; a < topology.site_count(); ++a) {
    for (SiteIndex b = a + 1; b < topology.site_count(); ++b) {
      const std::span<const PathSpec> paths = topology.PathsBetween(a, b);
      size_t i = 0;
      for (const Route& route : RoutesBetween(topology, a, b)) {
        const bool stated = i < paths.size() && paths[i].delay.has_value();
        lines.push_back({{"between", {topology.NameOf(a), topology.NameOf(b)}},
                         {"delay_seconds", route.delay},
                         {"delay_stated", stated},
                         {"rate_bits_per_second", route.rate * 8}});
        ++i;
      }
    }
  }
  return lines;
}

nlohmann::json CandidateJson(const Candidate& candidate, const Choice& choice,
                             const Job& job) {
  nlohmann::json json = {{"name", NameOf(candidate.algorithm)}};
  if (!candidate.refusal.ok()) {
    json["refusal"] = candidate.refusal.text();
    return json;
  }
  json["segments"] = candidate.segments.segments;
  json["segment_bytes"] =
      candidate.segments.segment_elements * SizeOf(job.type);
  json["in_flight"] = candidate.segments.in_flight;
  json["estimated_seconds"] = candidate.seconds;
  if (choice.bound > 0) {
    json["estimated_of_bound"] = candidate.seconds / choice.bound;
  }
  if (candidate.simulated) json["simulated_seconds"] = *candidate.simulated;
  return json;
}

}  // namespace

std::string PlanText(const std::string& name, const TopologyFile& file,
                     const Topology& topology, const SiteShares& shares,
                     const Job& job, const std::vector<Choice>& choices) {
  std::string text =
      Text("%s: %d site%s, %d rank%s\n\n", name.c_str(), topology.site_count(),
           topology.site_count() == 1 ? "" : "s", topology.size(),
           topology.size() == 1 ? "" : "s");
  text += SitesText(file, topology, shares);
  if (topology.site_count() > 1) text += "\n" + LinesText(topology);
  if (job.codec.id != CodecId::kNone) {
    text +=
        Text("\nBetween sites %s, 1/%.2f of the bytes; the ring has none.\n",
             job.codec.ToString().c_str(), 1 / job.cost.code_share);
  }
  for (const Choice& choice : choices) text += ChoiceText(choice, job);
  return text;
}

std::string PlanJson(const std::string& name, const TopologyFile& file,
                     const Topology& topology, const SiteShares& shares,
                     const Job& job, const std::vector<Choice>& choices) {
  nlohmann::json json = {{"topology", name},
                         {"type", NameOf(job.type)},
                         {"goodput", job.cost.goodput},
                         {"codec", job.codec.ToString()},
                         {"sites", nlohmann::json::array()},
                         {"lines", LinesJson(topology)},
                         {"sizes", nlohmann::json::array()}};
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    json["sites"].push_back(SiteJson(file, topology, shares, site));
  }
  for (const Choice& choice : choices) {
    nlohmann::json size = {{"bytes", choice.bytes},
                           {"bound_seconds", choice.bound},
                           {"chosen", nullptr},
                           {"schedules", nlohmann::json::array()}};
    if (choice.chosen) size["chosen"] = NameOf(*choice.chosen);
    for (const Candidate& candidate : choice.candidates) {
      size["schedules"].push_back(CandidateJson(candidate, choice, job));
    }
    json["sizes"].push_back(std::move(size));
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace longhaul::plan
