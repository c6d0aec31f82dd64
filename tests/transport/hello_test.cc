#include "transport/tcp/hello.h"

#include <numeric>

namespace longhaul {
namespace {

using testing::HasSubstr;

SipKey Secret(uint8_t start) {
  SipKey key;
  std::iota(key.begin(), key.end(), start);
  return key;
}

HelloPolicy Acceptor() {
  HelloPolicy policy;
  policy.job = 0x77;
  policy.self = 0xbbbb;
  policy.secret = Secret(1);
  return policy;
}

HelloPolicy Initiator() {
  HelloPolicy policy = Acceptor();
  policy.self = 0xaaaa;
  policy.peer = 0xbbbb;
  return policy;
}

Hello Question() {
  Hello hello;
  hello.flow = 2;
  hello.flows = 4;
  hello.link = LinkClass::kOtherSite;
  hello.flags = 0x8001;
  hello.capabilities = 0x0123456789abcdef;
  hello.job = 0x77;
  hello.from = 0xaaaa;
  hello.to = 0xbbbb;
  hello.nonce = 99;
  hello.shared_credit = uint64_t{1} << 40;
  hello.stream_reserve = 65536;
  hello.subject = 0xfedcba9876543210;
  hello.path = 0x1234;
  hello.reserved[1] = 7;
  hello.proof = ProofOf(hello, Secret(1));
  return hello;
}

Hello Answer(const Hello& question) {
  Hello hello = question;
  hello.verdict = HelloVerdict::kWelcome;
  hello.from = question.to;
  hello.to = question.from;
  hello.nonce = 100;
  hello.proof = ProofOf(hello, Secret(1), question.proof);
  return hello;
}

TEST(Hello, SurvivesTheWire) {
  const Hello before = Question();
  const HelloBytes bytes = EncodeHello(before);
  const Result<Hello> after = DecodeHello(bytes);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(EncodeHello(*after), bytes);
  EXPECT_EQ(after->flow, 2);
  EXPECT_EQ(after->flows, 4);
  EXPECT_EQ(after->link, LinkClass::kOtherSite);
  EXPECT_EQ(after->capabilities, 0x0123456789abcdefu);
  EXPECT_EQ(after->shared_credit, uint64_t{1} << 40);
  EXPECT_EQ(after->stream_reserve, 65536u);
  EXPECT_EQ(after->proof, before.proof);
  EXPECT_TRUE(CheckHello(*after, Acceptor()).ok());
}

TEST(Hello, NoBitMayChangeOnTheWay) {
  const HelloBytes good = EncodeHello(Question());
  for (size_t i = 0; i < good.size() * 8; ++i) {
    HelloBytes bad = good;
    bad[i / 8] ^= static_cast<uint8_t>(1u << (i % 8));
    const Result<Hello> hello = DecodeHello(bad);
    EXPECT_FALSE(hello.ok() && CheckHello(*hello, Acceptor()).ok()) << i;
  }
}

TEST(Hello, RejectsWhatNobodySends) {
  HelloBytes bytes = EncodeHello(Question());
  bytes[0] ^= 1;
  EXPECT_EQ(DecodeHello(bytes).status().code(), StatusCode::kCorrupt);
  Hello hello = Question();
  hello.flow = hello.flows;
  EXPECT_FALSE(DecodeHello(EncodeHello(hello)).ok());
  hello = Question();
  hello.version_min = 3;
  hello.version_max = 2;
  EXPECT_FALSE(DecodeHello(EncodeHello(hello)).ok());
}

TEST(Hello, TellsStrangersByTheirFirstBytes) {
  const HelloBytes bytes = EncodeHello(Question());
  for (size_t i = 0; i <= bytes.size(); ++i) {
    EXPECT_TRUE(MayBeHello(std::span(bytes).first(i)));
  }
  const std::vector<uint8_t> browser = {'G', 'E', 'T', ' '};
  EXPECT_FALSE(MayBeHello(browser));
  EXPECT_FALSE(MayBeHello(std::span(browser).first(1)));
}

TEST(Hello, SaysWhichVersionsDoNotFit) {
  Hello hello = Question();
  hello.version_min = 2;
  hello.version_max = 3;
  hello.proof = ProofOf(hello, Secret(1));
  const Status status = CheckHello(hello, Acceptor());
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.text(), HasSubstr("versions 2 to 3, this process 1 to 1"));
  EXPECT_EQ(Judge(hello, Acceptor()), HelloVerdict::kWrongVersion);
}

TEST(Hello, TakesTheHighestCommonVersion) {
  Hello hello = Question();
  hello.version_max = 5;
  HelloPolicy policy = Acceptor();
  policy.version_max = 3;
  EXPECT_EQ(AgreedVersion(hello, policy), 3);
  policy.version_max = 9;
  EXPECT_EQ(AgreedVersion(hello, policy), 5);
}

TEST(Hello, SaysWhichJobProcessOrSecretDoesNotFit) {
  Hello hello = Question();
  hello.job = 0x88;
  EXPECT_EQ(Judge(hello, Acceptor()), HelloVerdict::kWrongJob);
  EXPECT_THAT(CheckHello(hello, Acceptor()).text(),
              AllOf(HasSubstr("job 0000000000000088"),
                    HasSubstr("job 0000000000000077")));
  hello = Question();
  hello.to = 0xcccc;
  EXPECT_EQ(Judge(hello, Acceptor()), HelloVerdict::kWrongProcess);
  EXPECT_THAT(CheckHello(hello, Acceptor()).text(), HasSubstr("cccc"));
  HelloPolicy stranger = Acceptor();
  stranger.secret = Secret(2);
  EXPECT_EQ(Judge(Question(), stranger), HelloVerdict::kWrongSecret);
  EXPECT_THAT(CheckHello(Question(), stranger).text(), HasSubstr("secret"));
  HelloPolicy expecting = Acceptor();
  expecting.peer = 0xdddd;
  EXPECT_EQ(Judge(Question(), expecting), HelloVerdict::kWrongProcess);
}

TEST(Hello, AnAnswerIsNoQuestion) {
  const Hello question = Question();
  EXPECT_EQ(CheckAnswer(question, question, Initiator()).code(),
            StatusCode::kCorrupt);
  Hello echoed = question;
  echoed.to = echoed.from = 0xbbbb;
  echoed.verdict = HelloVerdict::kWelcome;
  echoed.proof = ProofOf(echoed, Secret(1));
  EXPECT_NE(Judge(echoed, Acceptor()), HelloVerdict::kWelcome);
}

TEST(Hello, AnAnswerBelongsToItsQuestion) {
  const Hello question = Question();
  EXPECT_TRUE(CheckAnswer(Answer(question), question, Initiator()).ok());
  Hello other = question;
  other.nonce = 12345;
  other.proof = ProofOf(other, Secret(1));
  const Status status = CheckAnswer(Answer(other), question, Initiator());
  EXPECT_THAT(status.text(), HasSubstr("secret"));
}

TEST(Hello, AnAnswerFromAnotherProcessIsRefused) {
  const Hello question = Question();
  Hello answer = Answer(question);
  answer.from = 0xeeee;
  answer.proof = ProofOf(answer, Secret(1), question.proof);
  EXPECT_THAT(CheckAnswer(answer, question, Initiator()).text(),
              HasSubstr("eeee"));
}

TEST(Hello, RefusalsSayWhy) {
  const Hello question = Question();
  Hello answer = Answer(question);
  answer.verdict = HelloVerdict::kBusy;
  EXPECT_EQ(CheckAnswer(answer, question, Initiator()).code(),
            StatusCode::kExhausted);
  answer.verdict = HelloVerdict::kWrongVersion;
  answer.version_min = answer.version_max = 4;
  const Status status = CheckAnswer(answer, question, Initiator());
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.text(), HasSubstr("versions 4 to 4"));
  answer.verdict = HelloVerdict::kWrongProcess;
  answer.from = 0xeeee;
  EXPECT_THAT(CheckAnswer(answer, question, Initiator()).text(),
              HasSubstr("restarted"));
}

}  // namespace
}  // namespace longhaul
