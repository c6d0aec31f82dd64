// Jobs drawn at random, in virtual time. LONGHAUL_TEST_CASES says how many;
// LONGHAUL_TEST_SEED which one comes first, and by itself runs that one alone.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/parse.h"
#include "collective/random_case.h"

namespace longhaul {
namespace {

constexpr int64_t kUsualCases = 300;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : ParseInteger(text).value_or(otherwise);
}

TEST(RandomCasesTest, RightOnEveryRankOrAnErrorOnEveryRank) {
  const int64_t first = FromEnvironment("LONGHAUL_TEST_SEED", 0);
  const int64_t cases =
      FromEnvironment("LONGHAUL_TEST_CASES", first == 0 ? kUsualCases : 1);
  int failures = 0;
  for (int64_t i = 0; i < cases && failures < 10; ++i) {
    const RandomCase drawn = DrawCase(static_cast<uint64_t>(first + i));
    SCOPED_TRACE(drawn.ToString());
    const std::string wrong = Play(drawn);
    EXPECT_EQ(wrong, "") << "LONGHAUL_TEST_SEED=" << drawn.seed
                         << " runs it alone";
    failures += wrong.empty() ? 0 : 1;
  }
}

TEST(RandomCasesTest, SameSeedSameCase) {
  EXPECT_EQ(DrawCase(3).ToString(), DrawCase(3).ToString());
  EXPECT_NE(DrawCase(3).ToString(), DrawCase(4).ToString());
}

}  // namespace
}  // namespace longhaul
