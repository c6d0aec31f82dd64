#include "agreement.h"

#include <gtest/gtest.h>

namespace longhaul::nccl {
namespace {

constexpr Agreement kTwoSites{.members = 4, .sites = 2, .bdp_bytes = 1000};
constexpr Agreement kOneSite{.members = 4, .sites = 1};

TEST(AgreementsTest, IsFoundUnderItsCommunicator) {
  Agreements agreements;
  EXPECT_FALSE(agreements.Find(7));
  agreements.Publish(7, kTwoSites);
  EXPECT_EQ(agreements.Find(7), kTwoSites);
  EXPECT_FALSE(agreements.Find(8));
  EXPECT_TRUE(kTwoSites.SpansSites());
  EXPECT_FALSE(kOneSite.SpansSites());
}

TEST(AgreementsTest, StaysUntilTheLastGroupIsGone) {
  Agreements agreements;
  agreements.Publish(7, kTwoSites);
  agreements.Publish(7, kTwoSites);
  agreements.Withdraw(7);
  EXPECT_EQ(agreements.Find(7), kTwoSites);
  agreements.Withdraw(7);
  EXPECT_FALSE(agreements.Find(7));
  agreements.Withdraw(7);  // nothing there: nothing happens
  agreements.Publish(7, kOneSite);
  EXPECT_EQ(agreements.Find(7), kOneSite);
}

TEST(AgreementsTest, ContradictionIsNoAgreement) {
  Agreements agreements;
  agreements.Publish(7, kTwoSites);
  agreements.Publish(7, kOneSite);
  EXPECT_FALSE(agreements.Find(7));
  agreements.Withdraw(7);
  EXPECT_FALSE(agreements.Find(7));
}

TEST(AgreementsTest, WithoutAnIdNothingIsKept) {
  Agreements agreements;
  agreements.Publish(0, kTwoSites);
  EXPECT_FALSE(agreements.Find(0));
}

}  // namespace
}  // namespace longhaul::nccl
