#include "collective/block_call.h"

#include <gtest/gtest.h>

#include <array>

namespace longhaul {
namespace {

using ::testing::HasSubstr;

// Rank 1 of 3, blocks of 4: its own is elements 4 to 8.
class BlockCallTest : public ::testing::TestWithParam<Collective> {
 protected:
  bool gather() const { return GetParam() == Collective::kAllGather; }
  BlockArguments Arguments(void* whole, void* part, Window window) const {
    return {gather() ? part : whole, gather() ? whole : part, 4, window,
            DataType::kInt32,        ReduceOp::kMax};
  }
  Result<OperationCall> Make(const BlockArguments& arguments) const {
    return MakeBlockCall(GetParam(), arguments, 1, 3);
  }
  void ExpectFault(const BlockArguments& arguments, const char* text) const {
    const Result<OperationCall> call = Make(arguments);
    EXPECT_EQ(call.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(call.status().text(), HasSubstr(text));
    EXPECT_THAT(call.status().text(),
                HasSubstr(gather() ? "all-gather: " : "reduce-scatter: "));
  }

  std::array<int32_t, 12> whole_{};
  std::array<int32_t, 4> part_{};
};

TEST_P(BlockCallTest, GoodArgumentsAreTakenAsTheyAre) {
  const Result<OperationCall> call =
      Make(Arguments(whole_.data(), part_.data(), {2, 5}));
  ASSERT_TRUE(call.ok()) << call.status().ToString();
  EXPECT_EQ(call->collective, GetParam());
  EXPECT_EQ(call->count, 5U);
  EXPECT_EQ(call->block, 4U);
  EXPECT_EQ(call->offset, 2U);
  EXPECT_EQ(call->op, gather() ? ReduceOp::kSum : ReduceOp::kMax);
  EXPECT_EQ(static_cast<const void*>(call->input),
            gather() ? part_.data() : whole_.data());
}

TEST_P(BlockCallTest, ItsPlaceInTheWindowIsAllowedAndNoOtherOverlap) {
  int32_t* place = &whole_[4];
  EXPECT_TRUE(Make(Arguments(whole_.data(), place, {0, 12})).ok());
  ExpectFault(Arguments(whole_.data(), place + 1, {0, 12}), "overlap");
  ExpectFault(Arguments(whole_.data(), whole_.data(), {0, 12}), "overlap");
  // The window's start is element 3: the own block is one element behind it.
  EXPECT_TRUE(Make(Arguments(&whole_[3], place, {3, 2})).ok());
  EXPECT_TRUE(Make(Arguments(&whole_[3], &whole_[5], {3, 2})).ok());
  ExpectFault(Arguments(&whole_[3], &whole_[3], {3, 2}), "overlap");
}

TEST_P(BlockCallTest, NothingOfTheOwnBlockNeedsNoBuffer) {
  EXPECT_TRUE(Make(Arguments(whole_.data(), nullptr, {8, 4})).ok());
  EXPECT_TRUE(Make(Arguments(whole_.data(), whole_.data(), {8, 4})).ok());
  EXPECT_TRUE(Make(Arguments(nullptr, nullptr, {6, 0})).ok());
  ExpectFault(Arguments(whole_.data(), nullptr, {7, 4}), "null pointer");
  ExpectFault(Arguments(nullptr, nullptr, {8, 4}), "null pointer");
}

TEST_P(BlockCallTest, WindowsLieInTheVector) {
  EXPECT_TRUE(Make(Arguments(whole_.data(), part_.data(), {12, 0})).ok());
  ExpectFault(Arguments(whole_.data(), part_.data(), {12, 1}), "no window");
  ExpectFault(Arguments(whole_.data(), part_.data(), {13, 0}), "no window");
  ExpectFault(Arguments(whole_.data(), part_.data(), {1, SIZE_MAX}),
              "no window");
}

TEST_P(BlockCallTest, TypesOperatorsAndLengthsAreChecked) {
  BlockArguments arguments = Arguments(whole_.data(), part_.data(), {0, 12});
  arguments.type = static_cast<DataType>(200);
  ExpectFault(arguments, "no such element type or operator");
  arguments.type = DataType::kInt32;
  arguments.op = static_cast<ReduceOp>(kReduceOpCount);
  ExpectFault(arguments, "no such element type or operator");
  arguments.op = ReduceOp::kSum;
  arguments.block = SIZE_MAX / 11;
  ExpectFault(arguments, "more than memory can hold");
}

INSTANTIATE_TEST_SUITE_P(Collectives, BlockCallTest,
                         ::testing::Values(Collective::kAllGather,
                                           Collective::kReduceScatter),
                         [](const auto& test) {
                           return test.param == Collective::kAllGather
                                      ? "AllGather"
                                      : "ReduceScatter";
                         });

}  // namespace
}  // namespace longhaul
