#include <longhaul/codec.h>

#include <set>
#include <string>

namespace longhaul {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Error(std::string_view text) {
  const Result<CodecSpec> spec = CodecSpec::Parse(text);
  if (spec.ok()) return "accepted as " + spec->ToString();
  EXPECT_EQ(spec.status().code(), StatusCode::kInvalidArgument);
  return spec.status().text();
}

TEST(CodecSpecTest, NamesStandForTheUsualParameters) {
  for (const char* name :
       {"none", "bf16", "f16", "int8", "int4", "e4m3", "e5m2", "lossless"}) {
    const CodecSpec spec = CodecSpec::Parse(name).value();
    EXPECT_STREQ(NameOf(spec.id), name);
    EXPECT_EQ(spec, CodecSpec::Of(spec.id));
    EXPECT_TRUE(spec.Valid());
  }
  EXPECT_EQ(CodecSpec::Parse("int8")->block, 64);
  EXPECT_EQ(CodecSpec::Parse("int4")->block, 32);
  EXPECT_EQ(CodecSpec::Parse("int8")->rounding, CodecRounding::kNearest);
  EXPECT_EQ(CodecSpec().id, CodecId::kNone);
}

TEST(CodecSpecTest, ParametersInAnyOrder) {
  const CodecSpec spec =
      CodecSpec::Parse(" INT4 : rounding=Stochastic, block = 128 ").value();
  EXPECT_EQ(spec.id, CodecId::kInt4);
  EXPECT_EQ(spec.block, 128);
  EXPECT_EQ(spec.rounding, CodecRounding::kStochastic);
  EXPECT_EQ(CodecSpec::Parse("int4:block=128,rounding=stochastic").value(),
            spec);
}

TEST(CodecSpecTest, TextIsShortestAndReadBack) {
  for (const char* text :
       {"none", "bf16", "f16", "int8", "int4", "int8:block=256",
        "int4:rounding=stochastic", "int8:block=32,rounding=stochastic",
        "e4m3:block=32", "e5m2:rounding=stochastic", "int4:rotate",
        "int4:block=64,rounding=stochastic,rotate", "lossless", "auto:0.01",
        "auto:1e-06", "auto:1", "auto:0"}) {
    EXPECT_EQ(CodecSpec::Parse(text)->ToString(), text);
  }
  EXPECT_EQ(CodecSpec::Parse("int8:block=64,rounding=nearest")->ToString(),
            "int8");
}

TEST(CodecSpecTest, ABoundMayBeAPercentage) {
  EXPECT_EQ(CodecSpec::Parse("auto:1%")->ToString(), "auto:0.01");
  EXPECT_DOUBLE_EQ(CodecSpec::Parse("AUTO : 2.5 %")->MaxError(), 0.025);
  for (const char* text : {"auto", "auto:", "auto:-1", "auto:2", "auto:nan",
                           "auto:101%", "auto:x"}) {
    EXPECT_THAT(Error(text), HasSubstr("auto:0.01")) << text;
  }
}

TEST(CodecSpecTest, ErrorsSayWhatIsAccepted) {
  EXPECT_THAT(Error("int9"), AllOf(HasSubstr("'int9'"), HasSubstr("int8"),
                                   HasSubstr("none, bf16, f16")));
  EXPECT_THAT(Error(""), HasSubstr("none, bf16"));
  EXPECT_THAT(Error("int8:blok=64"), HasSubstr("did you mean 'block'?"));
  EXPECT_THAT(Error("int8:block=48"),
              AllOf(HasSubstr("'48'"), HasSubstr("int8"),
                    HasSubstr("a power of two from 32 to 256")));
  for (const char* block : {"16", "512", "0", "-64", "x", "", "65600"}) {
    EXPECT_THAT(Error(std::string("int8:block=") + block),
                HasSubstr("power of two"));
  }
  EXPECT_THAT(Error("int4:rounding=up"), HasSubstr("nearest, stochastic"));
  EXPECT_THAT(Error("int8:block"), HasSubstr("name=value"));
  EXPECT_THAT(Error("int8:"), HasSubstr("name=value"));
  EXPECT_THAT(Error("int8:block=64,"), HasSubstr("name=value"));
  EXPECT_THAT(Error("int8:rotate=on"), HasSubstr("takes no value"));
  EXPECT_THAT(Error("e4m3:rotate"), HasSubstr("int8 and int4 do"));
  EXPECT_THAT(Error("int8:rotate,rotate"), HasSubstr("twice"));
  EXPECT_THAT(Error("int8:block=64,block=64"), HasSubstr("twice"));
  EXPECT_THAT(Error("bf16:block=64"), HasSubstr("bf16 takes no parameters"));
}

TEST(CodecSpecTest, OnlyFittingParametersAreValid) {
  EXPECT_FALSE((CodecSpec{CodecId::kInt8, CodecRounding::kNearest, 0}).Valid());
  EXPECT_FALSE(
      (CodecSpec{CodecId::kInt8, CodecRounding::kNearest, 96}).Valid());
  EXPECT_FALSE(
      (CodecSpec{CodecId::kBf16, CodecRounding::kNearest, 64}).Valid());
  EXPECT_FALSE(
      (CodecSpec{CodecId::kNone, CodecRounding::kStochastic, 0}).Valid());
  EXPECT_FALSE((CodecSpec{static_cast<CodecId>(99), CodecRounding::kNearest, 0})
                   .Valid());
  EXPECT_FALSE(
      (CodecSpec{CodecId::kInt8, static_cast<CodecRounding>(2), 64}).Valid());
}

TEST(CodecSpecTest, WordsTellSpecsApart) {
  std::set<uint64_t> words;
  for (const char* text :
       {"none", "bf16", "f16", "int8", "int4", "int8:block=32",
        "int8:block=128", "int8:block=256", "int4:block=64",
        "int8:rounding=stochastic", "int4:rounding=stochastic", "int8:rotate",
        "e4m3", "e5m2"}) {
    EXPECT_TRUE(words.insert(CodecSpec::Parse(text)->Word()).second) << text;
  }
  // On the wire: never another number for the same spec.
  EXPECT_EQ(CodecSpec::Parse("int4:rounding=stochastic")->Word(), 0x200104u);
}

}  // namespace
}  // namespace longhaul
