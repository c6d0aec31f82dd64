#include "plugin_stream/collnet_subject.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.h"
#include "plugin/driver/collnet_table.h"
#include "plugin_stream/meeting.h"

namespace longhaul::bench {
namespace {

using nccl::CollNetTable;
using nccl::abi::ResultCode;

class CollNet final : public Meeting {
 public:
  CollNet(Star star, const Options& options, const CollNetDriving& how)
      : Meeting(std::move(star), options.site),
        how_(how),
        library_(nccl::Library::Open(how.plugin).value()),
        table_(nccl::FindCollNet(library_, how.version)) {}

  ~CollNet() override {
    if (comm_) table_->CloseColl(comm_);
    if (listen_) table_->CloseListen(listen_);
    if (context_) table_->Finalize(context_);
  }

  Status Connect() {
    if (!table_) {
      return {StatusCode::kUnsupported,
              Text("%s has no CollNet of version %d", how_.plugin.c_str(),
                   how_.version)};
    }
    Status status = StatusOf(table_->Init(&context_, 1, PrintWarnings), "init");
    if (!status.ok()) return status;
    std::array<std::byte, nccl::abi::kHandleBytes> own{};
    status =
        StatusOf(table_->Listen(context_, 0, own.data(), &listen_), "listen");
    if (!status.ok()) return status;
    auto handles = Gather(own);
    if (!handles.ok()) return handles.status();
    std::vector<void*> pointers;
    for (std::vector<std::byte>& handle : *handles) {
      pointers.push_back(handle.data());
    }
    status =
        StatusOf(table_->Connect(pointers, rank(), listen_, &comm_), "connect");
    if (status.ok() && !comm_) {
      return {StatusCode::kUnreachable, "the group did not come together"};
    }
    return status;
  }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp op) override {
    if (op == ReduceOp::kAvg) {
      return {StatusCode::kUnsupported, "NCCL averages outside of CollNet"};
    }
    element_ = SizeOf(type);
    type_ = static_cast<nccl::abi::TypeCode>(type);
    op_ = static_cast<nccl::abi::OpCode>(op);
    send_ = static_cast<std::byte*>(const_cast<void*>(input));
    recv_ = static_cast<std::byte*>(output);
    size_ = count * element_;
    posted_ = 0;
    Status status = Register(send_);
    if (status.ok()) status = Register(recv_);
    return status.ok() ? Post() : status;
  }

  Status Finish() override {
    while (posted_ < size_ || !live_.empty()) {
      Status status = TestOldest();
      if (status.ok()) status = Post();
      if (!status.ok()) return status;
      std::this_thread::yield();
    }
    return {};
  }

 private:
  // NCCL knows its buffers before the first call.
  Status Register(std::byte* memory) {
    if (regions_.contains(memory)) return {};
    return StatusOf(table_->RegMr(comm_, memory, size_, nccl::abi::kPtrHost,
                                  &regions_[memory]),
                    "reg_mr");
  }

  Status Post() {
    while (posted_ < size_ &&
           live_.size() < static_cast<size_t>(how_.outstanding)) {
      const uint64_t whole =
          std::max<uint64_t>(how_.call_bytes / element_ * element_, element_);
      const uint64_t bytes = std::min(whole, size_ - posted_);
      void* request = nullptr;
      const ResultCode code = table_->Iallreduce(
          comm_, send_ + posted_, recv_ + posted_, bytes / element_, type_, op_,
          regions_[send_], regions_[recv_], &request);
      if (code != ResultCode::kSuccess) return StatusOf(code, "iallreduce");
      if (!request) return {};
      live_.push_back(request);
      posted_ += bytes;
    }
    return {};
  }

  Status TestOldest() {
    if (live_.empty()) return {};
    int done = 0;
    const ResultCode code = table_->Test(live_.front(), &done, nullptr);
    if (done) live_.pop_front();
    return StatusOf(code, "test");
  }

  CollNetDriving how_;
  nccl::Library library_;
  std::unique_ptr<CollNetTable> table_;
  void* context_ = nullptr;
  void* listen_ = nullptr;
  void* comm_ = nullptr;
  std::map<std::byte*, void*> regions_;

  // The operation under way.
  size_t element_ = 1;
  nccl::abi::TypeCode type_{};
  nccl::abi::OpCode op_{};
  std::byte* send_ = nullptr;
  std::byte* recv_ = nullptr;
  uint64_t size_ = 0;
  uint64_t posted_ = 0;
  std::deque<void*> live_;
};

}  // namespace

Result<std::unique_ptr<Subject>> JoinCollNet(const CollNetDriving& how) {
  const Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  Result<Star> star = Meeting::Join(*options);
  if (!star.ok()) return star.status();
  auto subject =
      std::make_unique<CollNet>(std::move(star).value(), *options, how);
  const Status status = subject->Connect();
  if (!status.ok()) return status;
  return std::unique_ptr<Subject>(std::move(subject));
}

}  // namespace longhaul::bench
