#include "collective/validator.h"

#include <gtest/gtest.h>

#include <array>

#include "collective/schedule_builder.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;

constexpr Extent kInput{Space::kInput, 0, 4};
constexpr Extent kOutput{Space::kOutput, 0, 4};
constexpr Extent kScratch{Space::kScratch, 0, 4};

// Rank 0 of 2: sends its input, receives into scratch, adds into the output.
class ValidatorTest : public ::testing::Test {
 protected:
  ValidatorTest() {
    ScheduleBuilder builder(4, 4);
    const uint32_t received = builder.Recv(1, 0, kScratch, {});
    const uint32_t sent = builder.Send(1, 0, kInput, {});
    builder.Reduce(kOutput, std::array{kInput, kScratch}, true,
                   std::array{received, sent});
    schedule_ = builder.Take();
  }
  Status Validate() const { return ValidateSchedule(schedule_, 0, 2); }
  void ExpectFault(const char* text) const {
    EXPECT_EQ(Validate().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(Validate().text(), HasSubstr(text));
  }
  Step& Receive() { return schedule_.steps[0]; }
  Step& Send() { return schedule_.steps[1]; }
  Step& Add() { return schedule_.steps[2]; }

  Schedule schedule_;
};

TEST_F(ValidatorTest, GoodScheduleIsValid) {
  EXPECT_TRUE(Validate().ok()) << Validate().ToString();
}

TEST_F(ValidatorTest, AddingBeforeTheReceiveIsARace) {
  ++Add().first_dependency;
  --Add().dependency_count;
  ExpectFault("rank 0, step 2 (reduce): touches the same memory as step 0");
}

TEST_F(ValidatorTest, WritingOutputBeforeTheInputIsSentIsARaceInPlace) {
  --Add().dependency_count;
  ExpectFault("touches the same memory as step 1");
}

TEST_F(ValidatorTest, ACopyToItsOwnPlaceRacesWithTheOutputAlone) {
  const auto check = [](Extent read, Extent copied) {
    ScheduleBuilder builder(8, 0);
    builder.Send(1, 0, read, {});
    builder.Copy(kOutput, copied, {});
    return ValidateSchedule(builder.Take(), 0, 2);
  };
  EXPECT_TRUE(check(kInput, kInput).ok());
  EXPECT_THAT(check(kOutput, kInput).text(), HasSubstr("in no order"));
  EXPECT_THAT(check(kInput, {Space::kInput, 4, 4}).text(),
              HasSubstr("in no order"));
}

TEST_F(ValidatorTest, DependencyOnAStepNotBeforeIsRefused) {
  schedule_.dependencies[0] = 2;
  ExpectFault("depends on step 2");
}

TEST_F(ValidatorTest, RangesAreChecked) {
  Add().source_count = 3;
  ExpectFault("sources are out of range");
  Add().source_count = 2;
  Add().dependency_count = 3;
  ExpectFault("dependencies are out of range");
}

TEST_F(ValidatorTest, ExtentsStayInTheirSpace) {
  schedule_.scratch_count = 3;
  ExpectFault("target is out of range");
  schedule_.scratch_count = 4;
  schedule_.sources[0] = {Space::kInput, UINT64_MAX, 4};
  ExpectFault("source is out of range");
}

TEST_F(ValidatorTest, InputIsNotWritten) {
  Add().target.space = Space::kInput;
  ExpectFault("writes the input");
}

TEST_F(ValidatorTest, LengthsAgree) {
  Add().target.count = 3;
  ExpectFault("differ in length");
}

TEST_F(ValidatorTest, TargetMayNotOverlapASourceInPart) {
  schedule_.sources[1] = {Space::kInput, 1, 3};
  schedule_.sources[2] = {Space::kScratch, 1, 3};
  Add().target = {Space::kOutput, 0, 3};
  ExpectFault("overlaps a source in part");
}

TEST_F(ValidatorTest, PeersAreOthers) {
  Send().peer = 0;
  ExpectFault("its peer is 0");
  Send().peer = 2;
  ExpectFault("its peer is 2");
  Send().peer = 1;
  Add().peer = 1;
  ExpectFault("its peer is 1");
}

TEST_F(ValidatorTest, OperandsFitTheKind) {
  Add().kind = StepKind::kCopy;
  Add().final = false;
  ExpectFault("it has 2 sources");
  Add().kind = StepKind::kReduce;
  Send().final = true;
  ExpectFault("only sums are final");
}

TEST_F(ValidatorTest, MessageNumbersAreUsedOnce) {
  ScheduleBuilder builder(4, 0);
  builder.Send(1, 7, kInput, {});
  builder.Send(1, 7, kInput, {});
  EXPECT_THAT(ValidateSchedule(builder.Take(), 0, 2).text(),
              HasSubstr("same peer and message number"));
}

// Rank 0 of 2: encodes its input, sends the code, receives another, adds both.
class CodeValidatorTest : public ::testing::Test {
 protected:
  static constexpr Extent kOwn{Space::kCodes, 0, 4};
  static constexpr Extent kOther{Space::kCodes, kCodeGrain, 4};

  CodeValidatorTest() {
    ScheduleBuilder builder(4, 4, 2 * kCodeGrain);
    const uint32_t received = builder.Recv(1, 0, kOther, {});
    const uint32_t encoded = builder.Encode(kOwn, kInput, 0, false, {});
    builder.Send(1, 0, kOwn, std::array{encoded});
    builder.Decode(kOutput, std::array{kOwn, kOther}, true,
                   std::array{received, encoded});
    schedule_ = builder.Take();
  }
  void ExpectFault(const char* text) const {
    const Status s = ValidateSchedule(schedule_, 0, 2);
    EXPECT_EQ(s.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(s.text(), HasSubstr(text));
  }
  Step& Encode() { return schedule_.steps[1]; }
  Step& Decode() { return schedule_.steps[3]; }
  Extent& SourceOf(const Step& step) {
    return schedule_.sources[step.first_source];
  }

  Schedule schedule_;
};

TEST_F(CodeValidatorTest, GoodScheduleIsValid) {
  EXPECT_TRUE(ValidateSchedule(schedule_, 0, 2).ok());
}

TEST_F(CodeValidatorTest, CodesAreNotAdded) {
  Decode().kind = StepKind::kReduce;
  ExpectFault("reads a code");
}

TEST_F(CodeValidatorTest, OnlyCodesAreDecoded) {
  SourceOf(Decode()) = kScratch;
  ExpectFault("decodes what is no code");
}

TEST_F(CodeValidatorTest, CodesAreEncodedInto) {
  Encode().target = kScratch;
  ExpectFault("encodes into what is no code");
}

TEST_F(CodeValidatorTest, ACodeBeginsAtTheGrain) {
  Encode().target.offset = 1;
  ExpectFault("its target is no whole code");
}

TEST_F(CodeValidatorTest, ACodeIsNotReadInPart) {
  SourceOf(Decode()).count = 3;
  schedule_.sources[Decode().first_source + 1].count = 3;
  Decode().target.count = 3;
  ExpectFault("touches a code of step 1 in part");
}

TEST_F(CodeValidatorTest, ACodeBeyondTheRoomIsRefused) {
  schedule_.code_count = kCodeGrain;
  ExpectFault("out of range");
}

TEST_F(CodeValidatorTest, DecodingBeforeTheReceiveIsARace) {
  ++Decode().first_dependency;
  --Decode().dependency_count;
  ExpectFault("touches the same memory as step 0");
}

}  // namespace
}  // namespace longhaul
