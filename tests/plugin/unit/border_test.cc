// Each version's table against an implementation that notes what it is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "abi/collnet_v10.h"
#include "abi/collnet_v11.h"
#include "abi/collnet_v8.h"
#include "abi/net_v10.h"
#include "abi/net_v11.h"
#include "abi/net_v8.h"
#include "abi/net_v9.h"
#include "abi/tuner_v3.h"
#include "abi/tuner_v4.h"
#include "abi/tuner_v5.h"
#include "abi/tuner_v6.h"
#include "agreement.h"
#include "collnet.h"
#include "net.h"

extern "C" {
extern const longhaul::nccl::abi::NetV8 ncclNetPlugin_v8;
extern const longhaul::nccl::abi::NetV9 ncclNetPlugin_v9;
extern const longhaul::nccl::abi::NetV10 ncclNetPlugin_v10;
extern const longhaul::nccl::abi::NetV11 ncclNetPlugin_v11;
extern const longhaul::nccl::abi::NetV12 ncclNetPlugin_v12;
extern const longhaul::nccl::abi::CollNetV8 ncclCollNetPlugin_v8;
extern const longhaul::nccl::abi::CollNetV10 ncclCollNetPlugin_v10;
extern const longhaul::nccl::abi::CollNetV11 ncclCollNetPlugin_v11;
extern const longhaul::nccl::abi::TunerV3 ncclTunerPlugin_v3;
extern const longhaul::nccl::abi::TunerV4 ncclTunerPlugin_v4;
extern const longhaul::nccl::abi::TunerV5 ncclTunerPlugin_v5;
extern const longhaul::nccl::abi::TunerV6 ncclTunerPlugin_v6;
}

namespace longhaul::nccl {
namespace {

using abi::ResultCode;
using testing::ElementsAre;

constexpr ResultCode kOk = ResultCode::kSuccess;

// What the fake was asked last.
struct Asked {
  int inits = 0;
  void* context = nullptr;
  size_t size = 0;
  std::vector<size_t> sizes;
  void* request = nullptr;
  std::vector<abi::PieceV12> pieces;
  abi::VirtualDeviceV12 virtual_device{};
  bool fail_init = false;
  std::string at_exit;  // appended to by finalize
};
Asked asked;  // NOLINT: the tables have no place for it

int net_context;
int collnet_context;

abi::PropertiesV12 FakeProperties() {
  abi::PropertiesV12 p{};
  p.name = "lh0";
  p.pci_path = "/sys/x";
  p.guid = 11;
  p.ptr_support = 1;
  p.reg_is_global = 2;
  p.force_flush = 3;
  p.speed = 4;
  p.port = 5;
  p.latency = 6.5F;
  p.max_comms = 7;
  p.max_recvs = 8;
  p.net_device_type = 9;
  p.net_device_version = 10;
  p.virtual_device = {8, {1, 2, 3, 4, 5, 6, 7, 8}};
  p.max_p2p_bytes = 12;
  p.max_coll_bytes = 13;
  p.max_multi_request_size = 14;
  p.rail_id = 15;
  p.plane_id = 16;
  return p;
}

ResultCode GetProperties(int device, abi::PropertiesV12* properties) noexcept {
  if (device != 0) return ResultCode::kInvalidArgument;
  *properties = FakeProperties();
  return kOk;
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV12* members) noexcept {
  *device = 3;
  asked.virtual_device = *members;
  return kOk;
}

ResultCode Listen(void* context, int, void*, void**) noexcept {
  asked.context = context;
  return kOk;
}

abi::NetV12 FakeNet() {
  abi::NetV12 table{};
  table.name = kNetName;
  table.init = [](void** context, uint64_t, abi::CommConfig*, abi::LogFn,
                  abi::ProfilerFn) noexcept {
    ++asked.inits;
    if (asked.fail_init) return ResultCode::kSystemError;
    *context = &net_context;
    return kOk;
  };
  table.devices = [](int* count) noexcept {
    *count = 1;
    return kOk;
  };
  table.get_properties = GetProperties;
  table.listen = Listen;
  table.connect = [](void* context, int, void*, void**,
                     abi::NetDeviceHandle**) noexcept {
    asked.context = context;
    return kOk;
  };
  table.isend = [](void*, void*, size_t size, int, void*, void*,
                   void**) noexcept {
    asked.size = size;
    return kOk;
  };
  table.irecv = [](void*, int count, void**, size_t* sizes, int*, void**,
                   void**, void** request) noexcept {
    asked.sizes.assign(sizes, sizes + count);
    asked.request = *request;
    *request = nullptr;
    return kOk;
  };
  table.make_virtual_device = MakeVirtualDevice;
  table.finalize = [](void* context) noexcept {
    asked.at_exit += context == &net_context ? "net " : "? ";
    return kOk;
  };
  return table;
}

abi::CollNetV12 FakeCollNet() {
  abi::CollNetV12 table{};
  table.name = kNetName;
  table.init = [](void** context, uint64_t, abi::LogFn) noexcept {
    ++asked.inits;
    *context = &collnet_context;
    return kOk;
  };
  table.devices = Net().devices;
  table.get_properties = GetProperties;
  table.listen = Listen;
  table.iallreduce = [](void*, void*, void*, size_t count, abi::TypeCode,
                        abi::OpCode, void*, void*, void**) noexcept {
    asked.size = count;
    return kOk;
  };
  table.iallgather = [](void*, void*, int parts, abi::PieceV12* pieces, size_t,
                        size_t, size_t bytes, void*, void**) noexcept {
    asked.pieces.assign(pieces, pieces + parts);
    asked.size = bytes;
    return kOk;
  };
  table.ireducescatter = [](void*, int parts, abi::PieceV12* pieces, void*,
                            size_t, size_t, size_t bytes, abi::TypeCode,
                            abi::OpCode, void*, void**) noexcept {
    asked.pieces.assign(pieces, pieces + parts);
    asked.size = bytes;
    return kOk;
  };
  table.make_virtual_device = MakeVirtualDevice;
  table.finalize = [](void* context) noexcept {
    asked.at_exit += context == &collnet_context ? "collnet " : "? ";
    return kOk;
  };
  return table;
}

class BorderTest : public testing::Test {
 protected:
  BorderTest() { asked = {}; }
};

// One context for all versions without, in one process: the tests of it run in
// processes of their own.
template <typename Body>
void InChild(Body body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    std::_Exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST_F(BorderTest, OneContextForVersionsWithout) {
  InChild([] {
    EXPECT_EQ(ncclNetPlugin_v8.init(nullptr), kOk);
    EXPECT_EQ(ncclNetPlugin_v8.init(nullptr), kOk);
    EXPECT_EQ(ncclNetPlugin_v10.init(nullptr, nullptr), kOk);
    EXPECT_EQ(asked.inits, 1);
    char handle[abi::kHandleBytes];
    void* comm = nullptr;
    EXPECT_EQ(ncclNetPlugin_v8.listen(0, handle, &comm), kOk);
    EXPECT_EQ(asked.context, &net_context);
    asked.context = nullptr;
    abi::CommConfig config{3};
    EXPECT_EQ(ncclNetPlugin_v10.connect(0, &config, handle, &comm, nullptr),
              kOk);
    EXPECT_EQ(asked.context, &net_context);
    EXPECT_EQ(ncclCollNetPlugin_v8.init(nullptr), kOk);
    EXPECT_EQ(ncclCollNetPlugin_v10.listen(0, handle, &comm), kOk);
    EXPECT_EQ(asked.context, &collnet_context);
  });
}

TEST_F(BorderTest, InitIsTriedAgainAfterAFailure) {
  InChild([] {
    asked.fail_init = true;
    EXPECT_EQ(ncclNetPlugin_v9.init(nullptr), ResultCode::kSystemError);
    asked.fail_init = false;
    EXPECT_EQ(ncclNetPlugin_v9.init(nullptr), kOk);
    EXPECT_EQ(asked.inits, 2);
  });
}

TEST_F(BorderTest, ExitFinalizesWhatHasNoOtherEnd) {
  InChild([] {
    // Runs after what init() registers.
    std::atexit([] { std::_Exit(asked.at_exit == "collnet net " ? 0 : 1); });
    EXPECT_EQ(ncclNetPlugin_v8.init(nullptr), kOk);
    EXPECT_EQ(ncclCollNetPlugin_v8.init(nullptr), kOk);
    std::exit(1);
  });
}

TEST_F(BorderTest, AForkedChildFinalizesNothing) {
  InChild([] {
    std::atexit([] { std::_Exit(asked.at_exit.empty() ? 0 : 1); });
    EXPECT_EQ(ncclNetPlugin_v8.init(nullptr), kOk);
    InChild([] { std::exit(1); });
    std::_Exit(testing::Test::HasFailure() ? 1 : 0);
  });
}

TEST_F(BorderTest, VersionsWithContextsPassThemOn) {
  char handle[abi::kHandleBytes];
  void* comm = nullptr;
  int context = 0;
  EXPECT_EQ(ncclNetPlugin_v11.listen(&context, 0, handle, &comm), kOk);
  EXPECT_EQ(asked.context, &context);
  asked.context = nullptr;
  EXPECT_EQ(ncclCollNetPlugin_v11.listen(&context, 0, handle, &comm), kOk);
  EXPECT_EQ(asked.context, &context);
}

TEST_F(BorderTest, TheNewestTableIsTheImplementation) {
  EXPECT_EQ(std::memcmp(&ncclNetPlugin_v12, &Net(), sizeof(abi::NetV12)), 0);
}

template <typename Properties>
void ExpectCommon(const Properties& p) {
  const abi::PropertiesV12 q = FakeProperties();
  EXPECT_STREQ(p.name, q.name);
  EXPECT_STREQ(p.pci_path, q.pci_path);
  EXPECT_EQ(p.guid, q.guid);
  EXPECT_EQ(p.ptr_support, q.ptr_support);
  EXPECT_EQ(p.reg_is_global, q.reg_is_global);
  EXPECT_EQ(p.speed, q.speed);
  EXPECT_EQ(p.port, q.port);
  EXPECT_EQ(p.latency, q.latency);
  EXPECT_EQ(p.max_comms, q.max_comms);
  EXPECT_EQ(p.max_recvs, q.max_recvs);
  EXPECT_EQ(p.net_device_type, q.net_device_type);
  EXPECT_EQ(p.net_device_version, q.net_device_version);
}

TEST_F(BorderTest, PropertiesOfEveryVersion) {
  abi::PropertiesV8 v8{};
  ASSERT_EQ(ncclNetPlugin_v8.get_properties(0, &v8), kOk);
  ExpectCommon(v8);
  abi::PropertiesV9 v9{};
  ASSERT_EQ(ncclNetPlugin_v9.get_properties(0, &v9), kOk);
  ExpectCommon(v9);
  EXPECT_EQ(v9.force_flush, 3);
  EXPECT_THAT(v9.virtual_device.devices, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(v9.virtual_device.count, 4);
  EXPECT_EQ(v9.max_p2p_bytes, 12U);
  EXPECT_EQ(v9.max_coll_bytes, 13U);
  abi::PropertiesV11 v11{};
  ASSERT_EQ(ncclCollNetPlugin_v11.get_properties(0, &v11), kOk);
  ExpectCommon(v11);
  EXPECT_EQ(v11.max_coll_bytes, 13U);
  EXPECT_EQ(v11.max_multi_request_size, 14);
}

TEST_F(BorderTest, PropertiesOfNoDeviceAreNotWritten) {
  abi::PropertiesV8 properties{};
  EXPECT_EQ(ncclNetPlugin_v8.get_properties(1, &properties),
            ResultCode::kInvalidArgument);
  EXPECT_EQ(properties.name, nullptr);
  EXPECT_EQ(ncclNetPlugin_v8.get_properties(0, nullptr),
            ResultCode::kInvalidArgument);
}

TEST_F(BorderTest, OldSizesAreWidened) {
  void* request = nullptr;
  EXPECT_EQ(
      ncclNetPlugin_v8.isend(nullptr, nullptr, 1 << 30, 0, nullptr, &request),
      kOk);
  EXPECT_EQ(asked.size, size_t{1} << 30);
  int sizes[] = {5, 0, 7};
  EXPECT_EQ(ncclNetPlugin_v8.irecv(nullptr, 3, nullptr, sizes, nullptr, nullptr,
                                   &request),
            kOk);
  EXPECT_THAT(asked.sizes, ElementsAre(5, 0, 7));
  EXPECT_EQ(ncclCollNetPlugin_v8.iallreduce(
                nullptr, nullptr, nullptr, 9, abi::TypeCode::kInt8,
                abi::OpCode::kSum, nullptr, nullptr, &request),
            kOk);
  EXPECT_EQ(asked.size, 9U);
}

TEST_F(BorderTest, NegativeSizesAndTooManyReceivesAreRefused) {
  void* request = nullptr;
  EXPECT_EQ(ncclNetPlugin_v8.isend(nullptr, nullptr, -1, 0, nullptr, &request),
            ResultCode::kInvalidArgument);
  int sizes[9] = {1, -1};
  EXPECT_EQ(ncclNetPlugin_v8.irecv(nullptr, 2, nullptr, sizes, nullptr, nullptr,
                                   &request),
            ResultCode::kInvalidArgument);
  sizes[1] = 1;
  EXPECT_EQ(ncclNetPlugin_v8.irecv(nullptr, 9, nullptr, sizes, nullptr, nullptr,
                                   &request),
            ResultCode::kInvalidArgument);
  EXPECT_EQ(ncclCollNetPlugin_v8.iallreduce(
                nullptr, nullptr, nullptr, -9, abi::TypeCode::kInt8,
                abi::OpCode::kSum, nullptr, nullptr, &request),
            ResultCode::kInvalidArgument);
}

TEST_F(BorderTest, TheHintReachesTheImplementation) {
  auto* const hint = reinterpret_cast<void*>(abi::kOptionalRecvCompletion);
  size_t size = 4;
  void* request = hint;
  EXPECT_EQ(ncclNetPlugin_v9.irecv(nullptr, 1, nullptr, &size, nullptr, nullptr,
                                   &request),
            kOk);
  EXPECT_EQ(asked.request, hint);
  EXPECT_EQ(request, nullptr);
}

TEST_F(BorderTest, PiecesOfV8AreWidened) {
  int x = 0;
  int y = 0;
  abi::PieceV8 pieces[] = {{&x, &y, 0xffffffff}, {&y, &x, 2}};
  void* request = nullptr;
  EXPECT_EQ(ncclCollNetPlugin_v8.iallgather(nullptr, nullptr, 2, pieces, 100, 3,
                                            4, nullptr, &request),
            kOk);
  ASSERT_EQ(asked.pieces.size(), 2U);
  EXPECT_EQ(asked.pieces[0].mr, &x);
  EXPECT_EQ(asked.pieces[0].address, &y);
  EXPECT_EQ(asked.pieces[0].size, 0xffffffffU);
  EXPECT_EQ(asked.size, 4U);
  asked.pieces.clear();
  EXPECT_EQ(ncclCollNetPlugin_v8.ireducescatter(
                nullptr, 1, pieces + 1, nullptr, 100, 3, 5,
                abi::TypeCode::kInt8, abi::OpCode::kSum, nullptr, &request),
            kOk);
  ASSERT_EQ(asked.pieces.size(), 1U);
  EXPECT_EQ(asked.pieces[0].address, &x);
  EXPECT_EQ(asked.size, 5U);
}

TEST_F(BorderTest, VirtualDevicesAreWidened) {
  int device = 0;
  abi::VirtualDeviceV9 members{2, {4, 5, 0, 0}};
  EXPECT_EQ(ncclNetPlugin_v10.make_virtual_device(&device, &members), kOk);
  EXPECT_EQ(device, 3);
  EXPECT_EQ(asked.virtual_device.count, 2);
  EXPECT_EQ(asked.virtual_device.devices[1], 5);
}

// A topology file of two sites with one host each, in LONGHAUL_TOPOLOGY.
class TunerBorderTest : public testing::Test {
 protected:
  TunerBorderTest() {
    char path[] = "/tmp/longhaul_topology_XXXXXX";
    const int fd = mkstemp(path);
    path_ = path;
    const std::string text =
        "[[site]]\nname = \"paris\"\nhosts = [\"a\"]\n"
        "[[site]]\nname = \"tokyo\"\nhosts = [\"b\"]\n"
        "[[path]]\nbetween = [\"paris\", \"tokyo\"]\n"
        "rate = \"1gbit\"\ndelay = \"100ms\"\n";
    EXPECT_EQ(write(fd, text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    close(fd);
    setenv("LONGHAUL_TOPOLOGY", path, 1);
  }
  ~TunerBorderTest() override {
    unsetenv("LONGHAUL_TOPOLOGY");
    unlink(path_.c_str());
  }

  // Offered are Tree over Simple, and Ring over Simple and LL, the cheapest.
  float costs_[abi::kAlgorithms][abi::kProtocols] = {
      {-1, -1, 9},  {1, -1, 9},   {-1, -1, -1}, {-1, -1, -1},
      {-1, -1, -1}, {-1, -1, -1}, {-1, -1, -1}};
  float** table() { return reinterpret_cast<float**>(costs_); }
  std::string path_;
};

TEST_F(TunerBorderTest, EveryVersionDecidesTheSame) {
  int channels = 0;
  void* context = nullptr;
  ASSERT_EQ(ncclTunerPlugin_v3.init(2, 2, nullptr, &context), kOk);
  EXPECT_EQ(ncclTunerPlugin_v3.get_coll_info(context, abi::FuncCode::kAllReduce,
                                             1, 1, table(), 6, 3, &channels),
            kOk);
  EXPECT_EQ(costs_[0][2], 0);
  EXPECT_GT(costs_[1][0], 1e9F);
  EXPECT_EQ(channels, 8);
  EXPECT_EQ(ncclTunerPlugin_v3.destroy(context), kOk);

  costs_[0][2] = 9;
  ASSERT_EQ(ncclTunerPlugin_v4.init(2, 2, nullptr, &context), kOk);
  EXPECT_EQ(ncclTunerPlugin_v4.get_coll_info(context, abi::FuncCode::kAllReduce,
                                             1, 1, table(), 6, 3, 0, &channels),
            kOk);
  EXPECT_EQ(costs_[0][2], 0);
  EXPECT_EQ(ncclTunerPlugin_v4.destroy(context), kOk);

  costs_[0][2] = 9;
  ASSERT_EQ(
      ncclTunerPlugin_v5.init(&context, 5, 2, 2, nullptr, nullptr, nullptr),
      kOk);
  EXPECT_EQ(ncclTunerPlugin_v5.get_coll_info(context, abi::FuncCode::kAllReduce,
                                             1, 1, table(), 7, 3, 0, &channels),
            kOk);
  EXPECT_EQ(costs_[0][2], 0);
  EXPECT_EQ(ncclTunerPlugin_v5.finalize(context), kOk);
}

TEST_F(TunerBorderTest, TheNewestSetsChunksToo) {
  void* context = nullptr;
  ASSERT_EQ(
      ncclTunerPlugin_v6.init(&context, 5, 2, 2, nullptr, nullptr, nullptr),
      kOk);
  size_t chunk = 1000;
  EXPECT_EQ(ncclTunerPlugin_v6.get_chunk_size(
                context, abi::FuncCode::kAllReduce, size_t{1} << 30,
                abi::kAlgoTree, abi::kProtoSimple, 16, &chunk),
            kOk);
  EXPECT_EQ(chunk, 512U << 10);  // an eighth of NCCL_BUFFSIZE
  EXPECT_EQ(ncclTunerPlugin_v6.finalize(context), kOk);
}

TEST_F(TunerBorderTest, TheAgreementOfTheCommunicatorCounts) {
  Agreements::OfProcess().Publish(77, {.members = 2, .sites = 1});
  void* context = nullptr;
  int channels = 0;
  ASSERT_EQ(
      ncclTunerPlugin_v5.init(&context, 77, 2, 2, nullptr, nullptr, nullptr),
      kOk);
  EXPECT_EQ(ncclTunerPlugin_v5.get_coll_info(context, abi::FuncCode::kAllReduce,
                                             1, 1, table(), 7, 3, 0, &channels),
            kOk);
  EXPECT_EQ(costs_[0][2], 9);  // within one site: as NCCL has it
  EXPECT_EQ(ncclTunerPlugin_v5.finalize(context), kOk);
  Agreements::OfProcess().Withdraw(77);
}

int warnings;

void CountWarnings(abi::LogLevel level, uint64_t, const char*, int, const char*,
                   ...) {
  warnings += level == abi::LogLevel::kWarn;
}

TEST_F(TunerBorderTest, AnUnreadableFileIsLoggedAndNoError) {
  setenv("LONGHAUL_TOPOLOGY", "/nonexistent.toml", 1);
  warnings = 0;
  void* context = nullptr;
  int channels = 0;
  ASSERT_EQ(ncclTunerPlugin_v4.init(2, 2, CountWarnings, &context), kOk);
  EXPECT_EQ(warnings, 1);
  EXPECT_EQ(ncclTunerPlugin_v4.get_coll_info(context, abi::FuncCode::kAllReduce,
                                             1, 1, table(), 7, 3, 0, &channels),
            kOk);
  EXPECT_EQ(costs_[0][2], 9);
  EXPECT_EQ(ncclTunerPlugin_v4.destroy(context), kOk);
}

TEST_F(TunerBorderTest, NothingGivenIsNoError) {
  size_t chunk = 5;
  EXPECT_EQ(
      ncclTunerPlugin_v6.init(nullptr, 5, 2, 2, nullptr, nullptr, nullptr),
      kOk);
  EXPECT_EQ(ncclTunerPlugin_v6.get_coll_info(nullptr, abi::FuncCode::kAllReduce,
                                             1, 1, nullptr, 7, 3, 0, nullptr),
            kOk);
  EXPECT_EQ(ncclTunerPlugin_v6.get_chunk_size(
                nullptr, abi::FuncCode::kAllReduce, 1, 0, 2, 1, &chunk),
            kOk);
  EXPECT_EQ(chunk, 5U);
  EXPECT_EQ(ncclTunerPlugin_v6.finalize(nullptr), kOk);
}

}  // namespace

const abi::NetV12& Net() {
  static const abi::NetV12 table = FakeNet();
  return table;
}

const abi::CollNetV12& CollNet() {
  static const abi::CollNetV12 table = FakeCollNet();
  return table;
}

}  // namespace longhaul::nccl
