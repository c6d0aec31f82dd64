#include "base/parse.h"

namespace longhaul {
namespace {

using testing::ElementsAre;
using testing::Optional;

TEST(ParseTest, SizesTakeSuffixesOfPowersOf1024) {
  EXPECT_THAT(ParseSize("4096"), Optional(4096u));
  EXPECT_THAT(ParseSize("64K"), Optional(65536u));
  EXPECT_THAT(ParseSize("4m"), Optional(4u << 20));
  EXPECT_THAT(ParseSize("4MiB"), Optional(4u << 20));
  EXPECT_THAT(ParseSize("1GB"), Optional(1u << 30));
  EXPECT_THAT(ParseSize(" 1.5 G "), Optional(1610612736u));
  EXPECT_THAT(ParseSize("100b"), Optional(100u));
  EXPECT_THAT(ParseSize("inf"), Optional(kUnlimited));
}

TEST(ParseTest, SizesRefuseWhatIsNone) {
  for (const char* text :
       {"", "K", "12Q", "-1", "+1", "4 M B", "1e3", "1.2.3", "0x10", "auto",
        "4ib", "99999999999999999999", "16777216T"}) {
    EXPECT_FALSE(ParseSize(text)) << text;
  }
}

TEST(ParseTest, SizeTextIsReadBackExactly) {
  EXPECT_EQ(SizeText(4u << 20), "4M");
  EXPECT_EQ(SizeText(0), "0");
  for (const uint64_t size : {uint64_t{0}, uint64_t{1023}, uint64_t{1025},
                              uint64_t{3} << 40, kUnlimited, kUnlimited - 1}) {
    EXPECT_THAT(ParseSize(SizeText(size)), Optional(size));
  }
}

TEST(ParseTest, TimesNeedTheirUnit) {
  EXPECT_THAT(ParseTime("20ms"), Optional(20 * kMillisecond));
  EXPECT_THAT(ParseTime("1.5s"), Optional(1500 * kMillisecond));
  EXPECT_THAT(ParseTime("100us"), Optional(100 * kMicrosecond));
  EXPECT_THAT(ParseTime("2m"), Optional(120 * kSecond));
  EXPECT_THAT(ParseTime("1h"), Optional(3600 * kSecond));
  EXPECT_THAT(ParseTime("7ns"), Optional(7));
  EXPECT_THAT(ParseTime("0"), Optional(0));
  for (const char* text :
       {"", "5", "-5s", "5 parsecs", "s", "1e3s", "inf", "3000000h"}) {
    EXPECT_FALSE(ParseTime(text)) << text;
  }
}

TEST(ParseTest, TimeTextIsReadBackExactly) {
  EXPECT_EQ(TimeText(60 * kSecond), "60s");
  EXPECT_EQ(TimeText(1500 * kMillisecond), "1500ms");
  for (const Duration time : {Duration{0}, Duration{1}, kSecond + 1, kNever}) {
    EXPECT_THAT(ParseTime(TimeText(time)), Optional(time));
  }
}

TEST(ParseTest, RatesAreBitsPerSecondInPowersOf1000) {
  EXPECT_THAT(ParseRate("500mbit"), Optional(5e8));
  EXPECT_THAT(ParseRate("1.5Gbit/s"), Optional(1.5e9));
  EXPECT_THAT(ParseRate("64kbitps"), Optional(64e3));
  EXPECT_THAT(ParseRate("800bit"), Optional(800.));
  for (const char* text : {"", "500", "500mb", "500mbps", "-1mbit", "mbit"}) {
    EXPECT_FALSE(ParseRate(text)) << text;
  }
  EXPECT_EQ(RateText(5e8), "500mbit");
  EXPECT_EQ(RateText(2.5e9), "2.5gbit");
}

TEST(ParseTest, NumbersMustFillTheText) {
  EXPECT_THAT(ParseInteger(" -12 "), Optional(-12));
  EXPECT_FALSE(ParseInteger("12x"));
  EXPECT_FALSE(ParseInteger(""));
  EXPECT_FALSE(ParseInteger("9223372036854775808"));
  EXPECT_THAT(ParseNumber("1e-3"), Optional(1e-3));
  EXPECT_FALSE(ParseNumber("nan"));
  EXPECT_FALSE(ParseNumber("inf"));
}

TEST(ParseTest, Booleans) {
  for (const char* yes : {"y", "Yes", "ON", "true", "1"}) {
    EXPECT_THAT(ParseBool(yes), Optional(true)) << yes;
  }
  for (const char* no : {"n", "No", "OFF", "false", "0"}) {
    EXPECT_THAT(ParseBool(no), Optional(false)) << no;
  }
  EXPECT_FALSE(ParseBool("maybe"));
  EXPECT_FALSE(ParseBool(""));
}

TEST(ParseTest, SplitKeepsEmptyParts) {
  EXPECT_THAT(Split("a, b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(Split("", ','), ElementsAre(""));
}

TEST(ParseTest, GlobsMatchTheWholeText) {
  EXPECT_TRUE(MatchesGlob("node*", "node12"));
  EXPECT_TRUE(MatchesGlob("*-a?-*x", "gpu-a7-rackx"));
  EXPECT_TRUE(MatchesGlob("a*b*c", "abbbabc"));
  EXPECT_TRUE(MatchesGlob("*", ""));
  EXPECT_FALSE(MatchesGlob("node?", "node12"));
  EXPECT_FALSE(MatchesGlob("node", "node1"));
  EXPECT_FALSE(MatchesGlob("a*b", "abc"));
  EXPECT_FALSE(MatchesGlob("?", ""));
}

TEST(ParseTest, NearestNameForgivesTyposOnly) {
  const std::vector<std::string_view> known = {"timeout", "warmup",
                                               "chunk_size", "log"};
  EXPECT_EQ(NearestName("timeuot", known), "timeout");
  // One swap; as two changes it would be too far for so short a name.
  EXPECT_EQ(NearestName("lgo", known), "log");
  EXPECT_EQ(NearestName("TIMOUT", known), "timeout");
  EXPECT_EQ(NearestName("chunksize", known), "chunk_size");
  EXPECT_EQ(NearestName("colour", known), "");
}

}  // namespace
}  // namespace longhaul
