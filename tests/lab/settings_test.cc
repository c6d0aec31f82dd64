#include "lab/emulator/settings.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace longhaul::lab {
namespace {

TEST(SettingsTest, UnitsScaleToBitsNanosecondsBytesAndParts) {
  EXPECT_EQ(ParseRate("1.5gbit"), 1.5e9);
  EXPECT_EQ(ParseRate("300Mbit"), 300e6);
  EXPECT_EQ(ParseRate("9600"), 9600);
  EXPECT_EQ(ParseTime("25ms"), 25e6);
  EXPECT_EQ(ParseTime("30us"), 30e3);
  EXPECT_EQ(ParseSize("1mb"), 1e6);
  EXPECT_EQ(ParseSize("1MiB"), 1048576);
  EXPECT_EQ(ParsePart("0.5"), 0.5);
  EXPECT_DOUBLE_EQ(ParsePart("0.1%"), 0.001);
}

TEST(SettingsTest, NonsenseIsRefusedWithTheWordThatIsWrong) {
  for (const char* word :
       {"", "mbit", "-1mbit", "1 mbit", "1furlong", "nan", "inf"}) {
    EXPECT_THROW(ParseRate(word), std::invalid_argument) << word;
  }
  EXPECT_THROW(ParsePart("2"), std::invalid_argument);
  EXPECT_THROW(ParseTime("25"), std::invalid_argument);
  Settings s;
  try {
    s.Apply("rate=1furlong");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("1furlong"), std::string::npos);
  }
  EXPECT_THROW(s.Apply("colour=red"), std::invalid_argument);
  EXPECT_THROW(s.Apply("up=1"), std::invalid_argument);
}

TEST(SettingsTest, QueueLengthInBytesTimeOrBandwidthDelayProduct) {
  constexpr double kRate = 1e9;
  constexpr double kDelay = 25e6;  // ns
  EXPECT_EQ(QueueLength::Parse("250kb").Bytes(kRate, kDelay), 250e3);
  EXPECT_EQ(QueueLength::Parse("10ms").Bytes(kRate, kDelay), 1.25e6);
  EXPECT_EQ(QueueLength::Parse("bdp").Bytes(kRate, kDelay), 6.25e6);
  EXPECT_EQ(QueueLength::Parse("2bdp").Bytes(kRate, kDelay), 12.5e6);
  EXPECT_EQ(QueueLength::Parse("bdp").Bytes(kRate, 0), 150e3) << "the least";
}

TEST(SettingsTest, LossAloneIsIndependentWithBurstItIsAChain) {
  Settings s;
  s.Apply("loss=1%");
  EXPECT_EQ(s.go_bad, 0);
  EXPECT_EQ(s.loss_good, 0.01);
  s.Apply("burst=10");
  EXPECT_EQ(s.loss_good, 0);
  EXPECT_EQ(s.go_good, 0.1);
  // The part of time the chain is bad is the loss that was asked for.
  EXPECT_NEAR(s.go_bad / (s.go_bad + s.go_good), 0.01, 1e-12);
  EXPECT_THROW(s.Apply("loss=95%"), std::invalid_argument)
      << "19 lost for one that is not, in bursts of 10";
}

TEST(SettingsTest, WordsApplyToBothDirectionsOrOne) {
  Settings ab;
  Settings ba;
  ApplyWords(std::vector<std::string>{"rate=1gbit,ab.delay=5ms", "ba.down"}, ab,
             ba);
  EXPECT_EQ(ab.rate, 1e9);
  EXPECT_EQ(ba.rate, 1e9);
  EXPECT_EQ(ab.delay, 5e6);
  EXPECT_EQ(ba.delay, 0);
  EXPECT_TRUE(ab.up);
  EXPECT_FALSE(ba.up);
}

TEST(SettingsTest, OneWrongWordChangesNothing) {
  Settings ab;
  Settings ba;
  EXPECT_THROW(
      ApplyWords(std::vector<std::string>{"rate=1gbit", "delay=soon"}, ab, ba),
      std::invalid_argument);
  EXPECT_EQ(ab.rate, 0);
  EXPECT_EQ(ba.rate, 0);
}

}  // namespace
}  // namespace longhaul::lab
