// The table is nccl-tests', character by character.
#include "harness/table.h"

#include <gtest/gtest.h>

namespace longhaul::bench {
namespace {

Row Example() {
  Row row;
  row.bytes = 33554432;
  row.count = 8388608;
  row.type = "float";
  row.op = "sum";
  row.out_of_place.time_us = 1234.56;
  row.out_of_place.algorithm_bandwidth = 27.18;
  row.out_of_place.bus_bandwidth = 40.77;
  row.out_of_place.wrong = 0;
  row.in_place = row.out_of_place;
  return row;
}

TEST(Table, Header) {
  EXPECT_EQ(Header(Settings{}, {}),
            "#\n"
            "#                                                              "
            "out-of-place                       in-place          \n"
            "#       size         count      type   redop    root     time   "
            "algbw   busbw  #wrong     time   algbw   busbw  #wrong \n"
            "#        (B)    (elements)                               (us)  "
            "(GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)         \n");
}

TEST(Table, HeaderWithTimestampsAndCpuTime) {
  Settings settings;
  settings.timestamps = true;
  settings.issue_time = true;
  EXPECT_EQ(
      Header(settings, {}),
      "#\n"
      "#                                                              "
      "out-of-place                       in-place          \n"
      "#       size         count      type   redop    root  cputime   algbw   "
      "busbw  #wrong  cputime   algbw   busbw  #wrong           timestamp\n"
      "#        (B)    (elements)                               (us)  (GB/s)  "
      "(GB/s)             (us)  (GB/s)  (GB/s)           %Y-%m-%d %H:%M:%S\n");
}

TEST(Table, HeaderWithPerIterationColumns) {
  Settings settings;
  settings.per_iteration = true;
  EXPECT_EQ(
      Header(settings, {}),
      "#\n"
      "#                                                                 "
      "out-of-place (+ per-iteration)                                in-place "
      "(+ per-iteration)\n"
      "#       size         count      type   redop    root     time   algbw   "
      "busbw  #wrong    i_min    i_max    i_p99    i_cv%     time   algbw   "
      "busbw  #wrong    i_min    i_max    i_p99    i_cv% \n"
      "#        (B)    (elements)                               (us)  (GB/s)  "
      "(GB/s)             (us)     (us)     (us)      (%)     (us)  (GB/s)  "
      "(GB/s)             (us)     (us)     (us)      (%) \n");
}

TEST(Table, Row) {
  EXPECT_EQ(RowText(Example(), {}),
            "    33554432       8388608     float     sum      -1"
            "  1234.56   27.18   40.77       0"
            "  1234.56   27.18   40.77       0");
}

TEST(Table, UncheckedRowAndWrongElements) {
  Row row = Example();
  row.out_of_place.wrong.reset();
  row.in_place.wrong = 8388608;
  EXPECT_EQ(RowText(row, {}),
            "    33554432       8388608     float     sum      -1"
            "  1234.56   27.18   40.77     N/A"
            "  1234.56   27.18   40.77  8.38861e+06");
}

TEST(Table, PerIterationColumns) {
  Row row = Example();
  row.out_of_place.per_iteration = Summarise({1, 2, 3});
  row.in_place.per_iteration = Summarise({1000, 1000});
  EXPECT_EQ(
      RowText(row, {}),
      "    33554432       8388608     float     sum      -1"
      "  1234.56   27.18   40.77       0     1.00     3.00     3.00    40.82"
      "  1234.56   27.18   40.77       0  1000.00  1000.00  1000.00     0.00");
}

TEST(Table, OwnColumnsStandBehindAndAlign) {
  const std::vector<ExtraColumn> extra{{"flows", "", 5}, {"wan_tx", "(B)", 12}};
  Row row = Example();
  row.extra = {"4", "35000000"};
  const std::string header = Header(Settings{}, extra);
  EXPECT_NE(header.find("#wrong   flows        wan_tx\n"), std::string::npos);
  EXPECT_NE(header.find("                     (B)\n"), std::string::npos);
  EXPECT_EQ(RowText(row, extra),
            RowText(Example(), {}) + "       4      35000000");
}

TEST(Table, NumbersKeepTheirWidth) {
  EXPECT_EQ(Number(0, 7), "   0.00");
  EXPECT_EQ(Number(9999.99, 7), "9999.99");
  EXPECT_EQ(Number(99999.9, 7), "99999.9");
  EXPECT_EQ(Number(1234567, 7), "1234567");
  EXPECT_EQ(Number(12345678, 7), "1.2e+07");
  EXPECT_EQ(Number(999.99, 6), "999.99");
  EXPECT_EQ(Number(12345678, 6), " 1e+07");
}

TEST(Table, Footer) {
  EXPECT_EQ(Footer(Settings{}, 0, 0.0625),
            "# Out of bounds values : 0 OK\n"
            "# Avg bus bandwidth    : 0.0625 \n"
            "#\n"
            "# Collective test concluded: all_reduce_perf\n"
            "#\n"
            "\n");
}

TEST(Table, FooterOfAFailure) {
  Settings settings;
  settings.min_bandwidth = 1;
  settings.collective = Collective::kBarrier;
  EXPECT_EQ(Footer(settings, 2, 0.5),
            "# Out of bounds values : 2 FAILED\n"
            "# Avg bus bandwidth    : 0.5 FAILED\n"
            "#\n"
            "# Collective test concluded: barrier_perf\n"
            "#\n"
            "\n");
  EXPECT_FALSE(MeetsMinimum(settings, 0.5));
  EXPECT_TRUE(MeetsMinimum(settings, 0.91));
}

TEST(Table, Preamble) {
  Settings settings;
  settings.min_bytes = 8;
  settings.max_bytes = 1024;
  settings.step_factor = 2;
  EXPECT_EQ(Preamble(settings, "longhaul version 0.1.0"),
            "# longhaul version 0.1.0\n"
            "# Collective test starting: all_reduce_perf\n"
            "# nThread 1 nGpus 1 minBytes 8 maxBytes 1024 step: 2(factor) "
            "warmup iters: 1 iters: 20 agg iters: 1 validation: 1 graph: 0 "
            "unalign: 0\n"
            "# Blocking Enabled: wait and barrier after each outer iteration "
            "(-n); time excludes barrier \n"
            "#\n"
            "# Using devices\n");
  EXPECT_EQ(DeviceLine(3, 4711, "node7", "site paris"),
            "#  Rank  3 Group  0 Pid   4711 on      node7 device  0 "
            "[0000:00:00] site paris\n");
}

TEST(Table, Bandwidths) {
  EXPECT_DOUBLE_EQ(AlgorithmBandwidth(2'000'000'000, 0.5), 4);
  EXPECT_DOUBLE_EQ(BusFactor(4), 1.5);
  EXPECT_DOUBLE_EQ(BusFactor(1), 0);
}

}  // namespace
}  // namespace longhaul::bench
