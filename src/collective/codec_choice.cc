#include "collective/codec_choice.h"

#include <algorithm>
#include <numbers>
#include <optional>

#include "collective/carriers.h"
#include "collective/cost.h"
#include "collective/selector.h"

namespace longhaul {
namespace {

// What a codec must take of another's time that errs less. Estimates err too.
constexpr double kClearly = 0.9;

SegmentOptions WithShare(SegmentOptions options, const Codec* codec) {
  if (codec != nullptr) options.code_share = CodeShare(*codec);
  return options;
}

// Of the rank with the longest part: it encodes it once, and adds the codes of
// all sites.
double ProcessorSeconds(const CodecSpeed& speed, uint64_t count,
                        const Topology& topology) {
  if (speed.encode <= 0 || speed.decode <= 0) return 0;
  const double part = static_cast<double>(count) /
                      static_cast<double>(CountOwners(topology).least);
  return part * (1 / speed.encode + topology.site_count() / speed.decode);
}

class Chooser {
 public:
  Chooser(const VectorCall& call, const Codecs& codecs,
          const Topology& topology, const SiteShares& shares,
          const SegmentOptions& options)
      : call_(call),
        codecs_(codecs),
        topology_(topology),
        shares_(shares),
        options_(options) {}

  Result<CodecChoice> Run() {
    Result<CodecChoice> best = Consider(nullptr);
    if (!best.ok()) return best;
    for (const CodecOffer& offer : codecs_.offers()) {
      if (offer.For(call_.type, call_.op) == nullptr) continue;
      const Result<CodecChoice> other = Consider(&offer);
      if (!other.ok() || !KeepsBound(*other)) continue;
      if (Seconds(*other) < kClearly * Seconds(*best)) best = other;
    }
    return best;
  }

  Result<CodecChoice> Consider(const CodecOffer* offer) const {
    const Codec* codec =
        offer == nullptr ? nullptr : offer->For(call_.type, call_.op);
    const Result<Algorithm> algorithm =
        SelectAlgorithm(call_.wanted, call_.count, SizeOf(call_.type),
                        topology_, shares_, WithShare(options_, codec));
    if (!algorithm.ok()) return algorithm.status();
    if (!CanBeCoded(*algorithm, call_.count, topology_)) offer = nullptr;
    return CodecChoice{*algorithm, codec == nullptr ? nullptr : offer};
  }

 private:
  bool KeepsBound(const CodecChoice& choice) const {
    if (choice.offer == nullptr) return true;
    const double once = choice.offer->spec().TypicalError();
    const bool twice = choice.algorithm == Algorithm::kSharded;
    return (twice ? std::numbers::sqrt2 * once : once) <=
           codecs_.spec().MaxError();
  }

  // Lines and processors work at the same time.
  double Seconds(const CodecChoice& choice) const {
    const Codec* codec = choice.offer == nullptr
                             ? nullptr
                             : choice.offer->For(call_.type, call_.op);
    const size_t size = SizeOf(call_.type);
    const Result<SegmentPlan> plan =
        PlanSegments(call_.count, size, topology_, choice.algorithm, shares_,
                     WithShare(options_, codec));
    if (!plan.ok()) return std::numeric_limits<double>::infinity();
    const double lines =
        EstimateSeconds(choice.algorithm, *plan, size, topology_);
    if (choice.offer == nullptr) return lines;
    return std::max(
        lines, ProcessorSeconds(choice.offer->speed, call_.count, topology_));
  }

  const VectorCall& call_;
  const Codecs& codecs_;
  const Topology& topology_;
  const SiteShares& shares_;
  const SegmentOptions& options_;
};

}  // namespace

Result<CodecChoice> ChooseCodec(const VectorCall& call, const Codecs& codecs,
                                const Topology& topology,
                                const SiteShares& shares,
                                const SegmentOptions& options) {
  Chooser chooser(call, codecs, topology, shares, options);
  if (codecs.chooses()) return chooser.Run();
  const bool takes = !codecs.offers().empty() &&
                     codecs.offers()[0].For(call.type, call.op) != nullptr;
  return chooser.Consider(takes ? &codecs.offers()[0] : nullptr);
}

}  // namespace longhaul
