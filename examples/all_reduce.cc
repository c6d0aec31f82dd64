// The example of README.md, which shows this file from the first include on: a
// test compares the two.
#include <longhaul/longhaul.h>

#include <cstdio>
#include <vector>

namespace lh = longhaul;

int main() {
  auto context = lh::Context::Create(lh::Options::FromEnvironment().value());
  auto world = lh::Communicator::Create(*context.value());
  const auto self = static_cast<float>(world.value()->rank());
  std::vector<float> gradients(1 << 20, self);
  lh::Request request = world.value()->AllReduce(
      gradients.data(), gradients.data(), gradients.size(),
      lh::DataType::kFloat32, lh::ReduceOp::kAvg);
  const lh::Status status = request.Wait();
  std::printf("rank %g: %s, mean %g\n", self, status.ToString().c_str(),
              gradients[0]);
  return status.ok() ? 0 : 1;
}
