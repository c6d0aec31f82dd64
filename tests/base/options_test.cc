#include <longhaul/options.h>

#include "base/parse.h"

namespace longhaul {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<Options> From(const std::vector<std::string>& environment) {
  std::vector<const char*> entries;
  for (const std::string& entry : environment) entries.push_back(entry.c_str());
  entries.push_back(nullptr);
  return Options::FromEnvironment(entries.data());
}

std::string Refusal(const Status& status) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return status.text();
}

TEST(OptionsTest, DefaultsAreThoseOfTheTable) {
  const Result<Options> read = From({"PATH=/bin"});
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(read->warnings, IsEmpty());
  for (const OptionInfo& option : Options::Table()) {
    EXPECT_EQ(*read->Get(option.key), option.default_value) << option.key;
    Options set;
    EXPECT_TRUE(set.Set(option.key, option.default_value).ok()) << option.key;
    EXPECT_EQ(*set.Get(option.key), option.default_value) << option.key;
  }
}

TEST(OptionsTest, TableIsInOrder) {
  for (const OptionInfo& option : Options::Table()) {
    std::string variable = "LONGHAUL_";
    for (const char c : std::string(option.key)) {
      variable += static_cast<char>(std::toupper(c));
    }
    EXPECT_EQ(option.environment, variable);
    EXPECT_STRNE(option.help, "");
    EXPECT_EQ(option.takes_auto,
              std::string_view(option.default_value) == "auto")
        << option.key;
  }
}

TEST(OptionsTest, EveryChoiceOfTheTableIsAccepted) {
  for (const OptionInfo& option : Options::Table()) {
    if (option.type != OptionType::kChoice) continue;
    for (const std::string_view word : Split(option.range, '|')) {
      Options options;
      EXPECT_TRUE(options.Set(option.key, word).ok()) << word;
      EXPECT_EQ(*options.Get(option.key), word);
    }
    Options options;
    EXPECT_FALSE(options.Set(option.key, "other").ok());
  }
}

// What follows from a range must hold at its very ends.
TEST(OptionsTest, RangesIncludeTheirEndsAndNoMore) {
  Options options;
  EXPECT_TRUE(options.Set("chunk_size", "4K").ok());
  EXPECT_TRUE(options.Set("chunk_size", "64M").ok());
  EXPECT_FALSE(options.Set("chunk_size", "4095").ok());
  EXPECT_FALSE(options.Set("chunk_size", "67108865").ok());
  EXPECT_FALSE(options.Set("chunk_size", "inf").ok());
  EXPECT_EQ(options.chunk_size, 64u << 20);  // a refusal changes nothing
  EXPECT_TRUE(options.Set("notsent_lowat", "inf").ok());
  EXPECT_TRUE(options.Set("timeout", "100ms").ok());
  EXPECT_FALSE(options.Set("timeout", "99ms").ok());
  EXPECT_FALSE(options.Set("timeout", "61m").ok());
  EXPECT_TRUE(options.Set("rank", "0").ok());
  EXPECT_FALSE(options.Set("rank", "-1").ok());
  EXPECT_FALSE(options.Set("rank", "2147483648").ok());
  EXPECT_FALSE(options.Set("world_size", "0").ok());
}

TEST(OptionsTest, ReadsEveryType) {
  const Result<Options> options = From({
      "LONGHAUL_RENDEZVOUS=[fd00::1]:29501",
      "LONGHAUL_RANK=3",
      "LONGHAUL_SITE=paris",
      "LONGHAUL_INTERFACES=^docker,veth",
      "LONGHAUL_ADDRESS_FAMILY=ipv6",
      "LONGHAUL_PORT_RANGE=20000-20100",
      "LONGHAUL_PATHS=p0, p1>10.0.1.7",
      "LONGHAUL_TIMEOUT=1.5s",
      "LONGHAUL_PATH_TIMEOUT=30s",
      "LONGHAUL_ALGO=ring",
      "LONGHAUL_SCRATCH_SIZE=1G",
      "LONGHAUL_CHUNK_SIZE=256K",
      "LONGHAUL_WAN_FLOWS=8",
      "LONGHAUL_WAN_CC=bbr",
      "LONGHAUL_WAN_RATE_LIMIT=p0=100mbit, fd00::1=1.5gbit",
      "LONGHAUL_WAN_DSCP=af41",
      "LONGHAUL_WARMUP=0",
      "LONGHAUL_BUSY_POLL=0",
      "LONGHAUL_LOG=DEBUG",
      "LONGHAUL_WARN_UNUSED_ENV=no",
  });
  ASSERT_TRUE(options.ok()) << options.status().text();
  EXPECT_EQ(options->rendezvous, "[fd00::1]:29501");
  EXPECT_EQ(options->rank, 3);
  EXPECT_EQ(options->world_size, std::nullopt);
  EXPECT_EQ(options->site, "paris");
  EXPECT_EQ(options->interfaces, (InterfaceList{{"docker", "veth"}, true}));
  EXPECT_EQ(options->address_family, AddressFamily::kIpv6);
  EXPECT_EQ(options->port_range, (PortRange{20000, 20100}));
  EXPECT_EQ(options->timeout, milliseconds(1500));
  EXPECT_EQ(options->paths,
            (std::vector<PathRule>{{"p0", "p0"}, {"p1", "10.0.1.7"}}));
  EXPECT_EQ(options->connect_timeout, seconds(60));
  EXPECT_EQ(options->path_timeout, seconds(30));
  EXPECT_EQ(options->algo, Algorithm::kRing);
  EXPECT_EQ(options->scratch_size, 1u << 30);
  EXPECT_EQ(options->chunk_size, 256u << 10);
  EXPECT_EQ(options->segment_size, std::nullopt);
  EXPECT_EQ(options->wan_flows, 8);
  EXPECT_EQ(options->wan_cc, "bbr");
  EXPECT_EQ(options->wan_rate_limit,
            (RateLimits{0, {{"p0", 1e8}, {"fd00::1", 1.5e9}}}));
  EXPECT_EQ(options->wan_dscp, 34);
  EXPECT_EQ(options->warmup, 0u);
  EXPECT_EQ(options->log, LogLevel::kDebug);
  EXPECT_FALSE(options->warn_unused_env);
}

TEST(OptionsTest, SetTakesVariableOrKeyAndGetWritesItBack) {
  Options options;
  ASSERT_TRUE(options.Set("LONGHAUL_WAN_FLOWS", "16").ok());
  EXPECT_EQ(*options.Get("wan_flows"), "16");
  ASSERT_TRUE(options.Set("Wan_Flows", "auto").ok());
  EXPECT_EQ(options.wan_flows, std::nullopt);
  ASSERT_TRUE(options.Set("interfaces", "^=eth0, eth1").ok());
  EXPECT_EQ(*options.Get("interfaces"), "^=eth0,eth1");
  ASSERT_TRUE(options.Set("timeout", "2m").ok());
  EXPECT_EQ(*options.Get("timeout"), "120s");
  ASSERT_TRUE(options.Set("port_range", "500").ok());
  EXPECT_EQ(*options.Get("port_range"), "500-500");
  ASSERT_TRUE(options.Set("paths", "p0 > eth1, p1>p1").ok());
  EXPECT_EQ(*options.Get("paths"), "p0>eth1,p1");
  ASSERT_TRUE(options.Set("path_timeout", "auto").ok());
  EXPECT_EQ(options.path_timeout, std::nullopt);
  ASSERT_TRUE(options.Set("wan_rate_limit", "1000mbit").ok());
  EXPECT_EQ(*options.Get("wan_rate_limit"), "1gbit");
  ASSERT_TRUE(options.Set("wan_rate_limit", "p0=5mbit,p1=64kbit").ok());
  EXPECT_EQ(*options.Get("wan_rate_limit"), "p0=5mbit,p1=64kbit");
  ASSERT_TRUE(options.Set("wan_rate_limit", "None").ok());
  EXPECT_EQ(options.wan_rate_limit, RateLimits{});
  ASSERT_TRUE(options.Set("wan_dscp", "LE").ok());
  EXPECT_EQ(*options.Get("wan_dscp"), "1");
  ASSERT_TRUE(options.Set("log_file", "/tmp/x").ok());
  ASSERT_TRUE(options.Set("log_file", "").ok());
  EXPECT_EQ(options.log_file, "");
}

TEST(OptionsTest, RefusalGivesVariableValueAndForm) {
  EXPECT_EQ(Refusal(From({"LONGHAUL_CHUNK_SIZE=12Q"}).status()),
            "LONGHAUL_CHUNK_SIZE=12Q: not a size; write bytes or a number with "
            "K, M, G (powers of 1024), e.g. 4M, between 4K and 64M, or auto");
  EXPECT_EQ(Refusal(From({"LONGHAUL_TIMEOUT=5"}).status()),
            "LONGHAUL_TIMEOUT=5: not a time; write a number with ns, us, ms, "
            "s, m or h, e.g. 500ms, between 100ms and 1h");
  EXPECT_EQ(Refusal(From({"LONGHAUL_ALGO=tree"}).status()),
            "LONGHAUL_ALGO=tree: not a choice; write one of auto, ring, "
            "hierarchical");
  EXPECT_EQ(Refusal(From({"LONGHAUL_WAN_FLOWS=65"}).status()),
            "LONGHAUL_WAN_FLOWS=65: out of range; write an integer, e.g. 8, "
            "between 1 and 64, or auto");
  EXPECT_THAT(Refusal(From({"LONGHAUL_RENDEZVOUS=node0"}).status()),
              HasSubstr("LONGHAUL_RENDEZVOUS=node0: not an address"));
  for (const char* entry :
       {"LONGHAUL_WARN_UNUSED_ENV=perhaps", "LONGHAUL_PORT_RANGE=9-1",
        "LONGHAUL_PORT_RANGE=0-1", "LONGHAUL_INTERFACES=a,^b",
        "LONGHAUL_INTERFACES=,", "LONGHAUL_WAN_CC=b b r",
        "LONGHAUL_SCRATCH_SIZE=auto", "LONGHAUL_RANK=one", "LONGHAUL_PATHS=p0,",
        "LONGHAUL_PATHS=p0>", "LONGHAUL_PATHS=a>b>c", "LONGHAUL_PATHS=p0 p1",
        "LONGHAUL_WAN_RATE_LIMIT=100", "LONGHAUL_WAN_RATE_LIMIT=0mbit",
        "LONGHAUL_WAN_RATE_LIMIT=p0=", "LONGHAUL_WAN_RATE_LIMIT==1gbit",
        "LONGHAUL_WAN_RATE_LIMIT=auto",
        "LONGHAUL_WAN_RATE_LIMIT=p0=1gbit,2gbit"}) {
    EXPECT_FALSE(From({entry}).ok()) << entry;
  }
}

TEST(OptionsTest, CodePointsByNumberAndByName) {
  const std::pair<const char*, int> kGood[] = {
      {"0", 0},   {"63", 63},   {"cs0", 0},   {"cs7", 56},
      {"EF", 46}, {"af11", 10}, {"AF23", 22}, {"af43", 38}};
  Options options;
  for (const auto& [text, value] : kGood) {
    EXPECT_TRUE(options.Set("wan_dscp", text).ok()) << text;
    EXPECT_EQ(options.wan_dscp, value) << text;
  }
  for (const char* text : {"64", "-1", "cs8", "af14", "af51", "af01", "best"}) {
    EXPECT_FALSE(options.Set("wan_dscp", text).ok()) << text;
  }
  EXPECT_EQ(options.wan_dscp, 38);
}

TEST(OptionsTest, UnknownNameIsRefusedWithTheNearest) {
  Options options;
  EXPECT_EQ(Refusal(options.Set("LONGHAUL_WAN_FLOW", "8")),
            "LONGHAUL_WAN_FLOW: no such option; did you mean "
            "LONGHAUL_WAN_FLOWS?");
  EXPECT_FALSE(options.Get("colour").ok());
}

TEST(OptionsTest, UnknownVariablesAreWarnedOf) {
  const Result<Options> options =
      From({"LONGHAUL_CHUNKSIZE=4M", "LONGHAUL_COLOUR=red", "LONGHAULER=1"});
  ASSERT_TRUE(options.ok());
  EXPECT_THAT(
      options->warnings,
      ElementsAre(HasSubstr("LONGHAUL_CHUNKSIZE is set but is no option of "
                            "longhaul; did you mean LONGHAUL_CHUNK_SIZE?"),
                  HasSubstr("LONGHAUL_COLOUR is set but is no option")));
  EXPECT_THAT(
      From({"LONGHAUL_CHUNKSIZE=4M", "LONGHAUL_WARN_UNUSED_ENV=n"})->warnings,
      IsEmpty());
}

TEST(OptionsTest, EmptyVariableCountsAsUnset) {
  const Result<Options> options = From({"LONGHAUL_WAN_FLOWS=", "RANK="});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->wan_flows, std::nullopt);
  EXPECT_EQ(options->rank, std::nullopt);
}

TEST(OptionsTest, FallsBackToTorchrunAndNccl) {
  const Result<Options> options =
      From({"MASTER_ADDR=node0", "MASTER_PORT=29500", "RANK=2", "WORLD_SIZE=4",
            "NCCL_SOCKET_IFNAME==eth0", "NCCL_SOCKET_FAMILY=AF_INET6",
            "NCCL_DEBUG=INFO"});
  ASSERT_TRUE(options.ok()) << options.status().text();
  EXPECT_EQ(options->rendezvous, "node0:29501");  // 29500 is torchrun's own
  EXPECT_EQ(options->rank, 2);
  EXPECT_EQ(options->world_size, 4);
  EXPECT_EQ(options->interfaces, (InterfaceList{{"eth0"}, false, true}));
  EXPECT_EQ(options->address_family, AddressFamily::kIpv6);
  EXPECT_EQ(options->log, LogLevel::kInfo);
}

TEST(OptionsTest, OwnVariablesWinOverFallBacks) {
  const Result<Options> options =
      From({"LONGHAUL_RENDEZVOUS=a:1", "MASTER_ADDR=b", "MASTER_PORT=2",
            "LONGHAUL_RANK=0", "RANK=x", "LONGHAUL_LOG=error",
            "NCCL_DEBUG=TRACE", "LONGHAUL_WORLD_SIZE=auto", "WORLD_SIZE=2"});
  ASSERT_TRUE(options.ok()) << options.status().text();
  EXPECT_EQ(options->rendezvous, "a:1");
  EXPECT_EQ(options->rank, 0);
  EXPECT_EQ(options->log, LogLevel::kError);
  EXPECT_EQ(options->world_size, 2);  // auto is the fall-back
}

TEST(OptionsTest, FallBackIsNamedWhenRefusedAndIgnoredWhenForeign) {
  EXPECT_THAT(Refusal(From({"RANK=two"}).status()),
              HasSubstr("RANK=two: not an integer"));
  EXPECT_THAT(Refusal(From({"MASTER_ADDR=a", "MASTER_PORT=65535"}).status()),
              HasSubstr("MASTER_ADDR:MASTER_PORT+1=a:65536: not an address"));
  EXPECT_EQ(From({"MASTER_ADDR=fd00::1", "MASTER_PORT=1"})->rendezvous,
            "[fd00::1]:2");
  EXPECT_EQ(From({"MASTER_ADDR=a"})->rendezvous, "");
  EXPECT_EQ(From({"NCCL_DEBUG=LOUD"})->log, LogLevel::kWarn);
}

TEST(OptionsTest, ReadsTheProcessEnvironment) {
  ASSERT_EQ(setenv("LONGHAUL_WAN_FLOWS", "7", 1), 0);
  const Result<Options> options = Options::FromEnvironment();
  ASSERT_EQ(unsetenv("LONGHAUL_WAN_FLOWS"), 0);
  ASSERT_TRUE(options.ok()) << options.status().text();
  EXPECT_EQ(options->wan_flows, 7);
}

}  // namespace
}  // namespace longhaul
