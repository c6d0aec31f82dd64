#include "nccl/advice/advice.h"

#include <longhaul/options.h>

#include <bit>
#include <map>

namespace longhaul::nccl {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uint64_t kMiB = uint64_t{1} << 20;

TopologyFile File(const std::string& text) {
  return TopologyFile::Parse(text, "lab.toml").value();
}

TopologyFile TwoSites(const std::string& line) {
  return File(
      "[[site]]\nname='paris'\n[[site]]\nname='tokyo'\n[[path]]\n"
      "between=['paris','tokyo']\n" +
      line);
}

Line LineOf(double gbit, Duration round_trip) {
  return {"paris", "tokyo", gbit * 1e9, round_trip, true, true};
}

std::map<std::string, std::string> Values(const Advice& advice) {
  std::map<std::string, std::string> values;
  for (const Setting& setting : advice.settings) {
    values[setting.name] = setting.value;
  }
  return values;
}

TEST(HeaviestLineTest, IsRateTimesRoundTrip) {
  const Line line =
      HeaviestLine(TwoSites("rate='10gbit'\ndelay='40ms'")).value();
  EXPECT_EQ(line.round_trip, 80 * kMillisecond);
  EXPECT_EQ(line.Bdp(), 100'000'000u);
  EXPECT_TRUE(line.rate_stated);
  EXPECT_TRUE(line.delay_stated);
}

TEST(HeaviestLineTest, TakesThePairAndDirectionThatHoldsMost) {
  const Line line = HeaviestLine(File(R"(
[[site]]
name = "near"
wan = { up = "10gbit", down = "10gbit" }
[[site]]
name = "far"
wan = { up = "1gbit", down = "4gbit" }
[[site]]
name = "fast"
wan = { up = "10gbit", down = "10gbit" }
[[path]]
between = ["near", "fast"]
delay = "1ms"
[[path]]
between = ["far", "near"]
delay = "50ms"
)"))
                        .value();
  // 4 Gbit/s over 100 ms; the way back is 1 Gbit/s, near to fast 2 ms.
  EXPECT_EQ(line.from, "near");
  EXPECT_EQ(line.to, "far");
  EXPECT_EQ(line.Bdp(), 50'000'000u);
}

TEST(HeaviestLineTest, SaysWhatIsAssumed) {
  const Line neither = HeaviestLine(TwoSites("")).value();
  EXPECT_FALSE(neither.rate_stated);
  EXPECT_FALSE(neither.delay_stated);
  EXPECT_EQ(neither.Bdp(), 6'250'000u);  // 1 Gbit/s, 50 ms
  EXPECT_EQ(neither.ToString(),
            "paris to tokyo: 1gbit (assumed), 50ms there and back (assumed)");
  const Line rate = HeaviestLine(TwoSites("rate='2gbit'")).value();
  EXPECT_TRUE(rate.rate_stated);
  EXPECT_FALSE(rate.delay_stated);
  // One path of two without a rate: the sum is unknown.
  const Line half = HeaviestLine(TwoSites("rate='2gbit'\n[[path]]\n"
                                          "between=['tokyo','paris']\n"
                                          "delay='10ms'"))
                        .value();
  EXPECT_FALSE(half.rate_stated);
  EXPECT_TRUE(half.delay_stated);
}

TEST(HeaviestLineTest, NeedsTwoSites) {
  const auto one = HeaviestLine(File("[[site]]\nname='paris'"));
  EXPECT_EQ(one.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(one.status().text(), HasSubstr("one site"));
}

TEST(HeaviestLineTest, HostsWithoutWanDoNotMatter) {
  EXPECT_TRUE(HeaviestLine(File("[[site]]\nname='a'\nno_wan_hosts=['*']\n"
                                "[[site]]\nname='b'"))
                  .ok());
}

TEST(AdviseTest, ATypicalLine) {
  // 10 Gbit/s, 80 ms: 100 MB on the line.
  const auto values = Values(Advise(LineOf(10, 80 * kMillisecond), {}));
  EXPECT_EQ(values.at("NCCL_NET_PLUGIN"), "longhaul");
  EXPECT_EQ(values.at("NCCL_COLLNET_ENABLE"), "1");
  EXPECT_EQ(values.at("NCCL_BUFFSIZE"), std::to_string(8 * kMiB));
  EXPECT_EQ(values.at("NCCL_MIN_NCHANNELS"), "32");
  EXPECT_EQ(values.at("NCCL_MAX_NCHANNELS"), "32");
  EXPECT_EQ(values.at("NCCL_P2P_NET_CHUNKSIZE"), std::to_string(kMiB));
  EXPECT_EQ(values.at("NCCL_NVLS_ENABLE"), "0");
  EXPECT_EQ(values.at("NCCL_PXN_DISABLE"), "1");
  EXPECT_EQ(values.at("LONGHAUL_WAN_POOL"), "256M");
  EXPECT_EQ(values.at("LONGHAUL_WAN_RETENTION"), "256M");
}

TEST(AdviseTest, AShortLineKeepsNcclsBuffer) {
  const Advice advice = Advise(LineOf(0.5, 50 * kMillisecond), {});
  EXPECT_EQ(advice.buffer_size, 4 * kMiB);
  EXPECT_EQ(advice.channels, 16);
  EXPECT_EQ(Values(advice).count("LONGHAUL_WAN_POOL"), 0u);
  EXPECT_EQ(Values(advice).count("LONGHAUL_WAN_RETENTION"), 0u);
}

TEST(AdviseTest, ValuesAreOnesThatOptionsAccept) {
  for (const double gbit : {10.0, 1e6}) {
    const auto values = Values(Advise(LineOf(gbit, 600 * kMillisecond), {}));
    Options options;
    EXPECT_TRUE(options.Set("wan_pool", values.at("LONGHAUL_WAN_POOL")).ok());
    EXPECT_TRUE(
        options.Set("wan_retention", values.at("LONGHAUL_WAN_RETENTION")).ok());
  }
}

TEST(AdviseTest, FillsEveryLineWithinNcclsBounds) {
  for (const double gbit : {0.001, 0.1, 1.0, 10.0, 40.0, 100.0, 400.0, 1e6}) {
    for (const Duration ms : {1, 10, 30, 80, 150, 600}) {
      for (const int hosts : {1, 2, 3, 64}) {
        const Line line = LineOf(gbit, ms * kMillisecond);
        const Advice advice = Advise(line, {8, hosts});
        SCOPED_TRACE(line.ToString() + ", hosts " + std::to_string(hosts));
        const auto channels = static_cast<uint64_t>(advice.channels);
        EXPECT_TRUE(std::has_single_bit(advice.buffer_size));
        EXPECT_TRUE(std::has_single_bit(channels));
        EXPECT_LE(advice.channels, 32);
        EXPECT_LT(advice.buffer_size, 512 * kMiB);
        EXPECT_LT(2 * channels * advice.buffer_size, uint64_t{1} << 31);
        EXPECT_EQ(advice.collnet_memory, 2 * channels * advice.buffer_size);
        EXPECT_EQ(advice.p2p_chunk, advice.buffer_size / 8);
        const uint64_t in_flight = channels * advice.buffer_size;
        EXPECT_GE(in_flight, std::min(line.Bdp() / static_cast<uint64_t>(hosts),
                                      512 * kMiB));
        EXPECT_EQ(advice.fills_line,
                  in_flight * static_cast<uint64_t>(hosts) >= line.Bdp());
      }
    }
  }
}

TEST(AdviseTest, MoreHostsShareTheLine) {
  const Line line = LineOf(100, 80 * kMillisecond);
  EXPECT_EQ(Advise(line, {8, 1}).bdp_per_head, 1'000'000'000u);
  EXPECT_EQ(Advise(line, {8, 10}).bdp_per_head, 100'000'000u);
  EXPECT_TRUE(Advise(line, {8, 10}).fills_line);
}

TEST(AdviseTest, SaysWhenOneHostCannotFillTheLine) {
  const Advice advice = Advise(LineOf(100, 80 * kMillisecond), {8, 1});
  EXPECT_FALSE(advice.fills_line);
  EXPECT_THAT(advice.notes,
              Contains("NCCL's bounds let one host have 512 MiB in flight, "
                       "53.7gbit on this line; with 2 hosts per site or more "
                       "it can be filled."));
  EXPECT_TRUE(Advise(LineOf(100, 80 * kMillisecond), {8, 2}).fills_line);
}

TEST(AdviseTest, NotesFollowTheJob) {
  const Line line = LineOf(1, 80 * kMillisecond);
  EXPECT_THAT(Advise(line, {1, 1}).notes, IsEmpty());
  EXPECT_THAT(Advise(line, {8, 1}).notes,
              Contains(HasSubstr("one rank per host")));
  EXPECT_THAT(Advise(line, {8, 1}).notes,
              Not(Contains(HasSubstr("more than 8 ranks"))));
  EXPECT_THAT(Advise(line, {16, 1}).notes,
              Contains(HasSubstr("more than 8 ranks")));
  Line assumed = line;
  assumed.rate_stated = assumed.delay_stated = false;
  EXPECT_THAT(Advise(assumed, {1, 1}).notes,
              testing::ElementsAre(HasSubstr("1 Gbit/s is assumed"),
                                   HasSubstr("25 ms one way is assumed")));
}

TEST(AdviseTest, ReasonsAreSentencesThatNoReaderOfSettingsTakesForOne) {
  for (const Setting& setting :
       Advise(LineOf(10, 80 * kMillisecond), {}).settings) {
    EXPECT_THAT(setting.reason, testing::EndsWith("."));
    EXPECT_THAT(setting.reason, Not(HasSubstr("=")));
    EXPECT_THAT(setting.reason, Not(HasSubstr("\n")));
  }
}

// What CollNet moves: whole chunks on all channels.
uint64_t Padded(uint64_t bytes, uint64_t chunk, uint64_t channels) {
  const uint64_t round = chunk * channels;
  return (bytes + round - 1) / round * round;
}

TEST(ChunkSizeTest, KeepsTheLineFullOrTheWholeMessageInFlight) {
  const Advice advice = Advise(LineOf(10, 80 * kMillisecond), {});
  for (uint64_t bytes = kMiB; bytes <= 4096 * kMiB; bytes = bytes * 5 / 3) {
    for (const int channels : {16, 32}) {
      const uint64_t chunk = ChunkSize(advice, bytes, channels);
      const uint64_t in_flight = 8 * chunk * static_cast<uint64_t>(channels);
      EXPECT_LE(chunk, advice.buffer_size / 8);
      EXPECT_EQ(chunk % 4096, 0u);
      EXPECT_GE(in_flight, std::min({bytes, 2 * advice.bdp_per_head,
                                     static_cast<uint64_t>(channels) *
                                         advice.buffer_size}))
          << bytes;
    }
  }
}

TEST(ChunkSizeTest, AddsLittleToWhatCrosses) {
  const Advice advice = Advise(LineOf(0.5, 50 * kMillisecond), {});
  for (uint64_t bytes = 16 * kMiB; bytes <= 4096 * kMiB;
       bytes += bytes / 7 + 4) {
    const uint64_t chunk = ChunkSize(advice, bytes, advice.channels);
    const uint64_t moved =
        Padded(bytes, chunk, static_cast<uint64_t>(advice.channels));
    EXPECT_LE(moved - bytes, bytes / 20) << bytes << " by " << chunk;
  }
  // A power of two fits exactly.
  EXPECT_EQ(ChunkSize(advice, 64 * kMiB, 16), 128u * 1024);
}

TEST(ChunkSizeTest, ToleratesOddNumbers) {
  const Advice advice = Advise(LineOf(10, 80 * kMillisecond), {});
  EXPECT_EQ(ChunkSize(advice, 0, 16), 32u * 1024);
  EXPECT_EQ(ChunkSize(advice, 8, 0), 32u * 1024);
  EXPECT_EQ(ChunkSize(advice, UINT64_MAX / 2, 1), advice.buffer_size / 8);
}

}  // namespace
}  // namespace longhaul::nccl
