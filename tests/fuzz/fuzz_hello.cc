// Hellos from strangers. What is decoded encodes to the same bytes; none passes
// without the proof, and with the proof put right only those of this job and
// process do.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "transport/tcp/hello.h"

namespace longhaul {
namespace {

constexpr SipKey kSecret = {1, 2, 3};

HelloPolicy Policy() {
  HelloPolicy policy;
  policy.job = 0x3737373737373737;
  policy.self = 0x6262626262626262;
  policy.secret = kSecret;
  return policy;
}

void Check(Hello hello) {
  LH_CHECK(hello.flow < hello.flows);
  LH_CHECK(!CheckHello(hello, Policy()).ok());
  LH_CHECK(Judge(hello, Policy()) != HelloVerdict::kWelcome);
  Hello question;
  LH_CHECK(!CheckAnswer(hello, question, Policy()).ok());
  hello.proof = ProofOf(hello, kSecret);
  const bool fits = hello.job == Policy().job && hello.to == Policy().self &&
                    hello.verdict == HelloVerdict::kQuestion &&
                    AgreedVersion(hello, Policy()) != 0;
  LH_CHECK(CheckHello(hello, Policy()).ok() == fits);
  LH_CHECK((Judge(hello, Policy()) == HelloVerdict::kWelcome) == fits);
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using longhaul::HelloBytes;
  const bool may_be = longhaul::MayBeHello({data, size});
  HelloBytes bytes{};
  std::copy_n(data, std::min(size, bytes.size()), bytes.begin());
  const longhaul::Result<longhaul::Hello> hello = longhaul::DecodeHello(bytes);
  if (!hello.ok()) return 0;
  LH_CHECK(may_be);
  LH_CHECK(longhaul::EncodeHello(*hello) == bytes);
  longhaul::Check(*hello);
  return 0;
}
