#include <longhaul/status.h>

namespace longhaul {
namespace {

TEST(StatusTest, OkIsDefaultAndCarriesNoText) {
  const Status s;
  EXPECT_TRUE(s.ok());
  EXPECT_EQ(s.code(), StatusCode::kOk);
  EXPECT_EQ(s.text(), "");
  EXPECT_EQ(s.ToString(), "kOk");
}

TEST(StatusTest, FaultNamesCodeScopeAndText) {
  const Status s(StatusCode::kUnreachable, "rank 3 is gone",
                 FaultScope::kConnection);
  EXPECT_FALSE(s.ok());
  EXPECT_EQ(s.scope(), FaultScope::kConnection);
  EXPECT_EQ(s.ToString(), "kUnreachable: rank 3 is gone");
}

TEST(ResultTest, HoldsValueOrStatus) {
  Result<int> good = 7;
  EXPECT_EQ(*good, 7);
  const Result<int> bad = Status(StatusCode::kExhausted, "full");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), StatusCode::kExhausted);
}

TEST(ResultDeathTest, ValueOfAFaultSaysWhy) {
  Result<int> bad = Status(StatusCode::kExhausted, "full up");
  EXPECT_DEATH({ bad.value() = 1; }, "kExhausted: full up");
}

}  // namespace
}  // namespace longhaul
