// LONGHAUL_SITE_PLUGIN: traffic inside a site by another plugin, the child
// (child/net.h).
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "plugin/child/counts.h"
#include "plugin/net_end.h"

namespace longhaul::nccl {
namespace {

using child::Counts;

const char* PathOf(int child_version) {
  return child_version == 8 ? LONGHAUL_CHILD_V8 : LONGHAUL_CHILD_V11;
}

// What a child has counted in this process.
const Counts& CountsOf(int child_version) {
  static std::map<int, Library> libraries;
  auto found = libraries.find(child_version);
  if (found == libraries.end()) {
    Library library = Library::Open(PathOf(child_version)).value();
    found = libraries.emplace(child_version, std::move(library)).first;
  }
  return *static_cast<const Counts*>(found->second.Find(child::kCountsSymbol));
}

std::vector<Rank> WithPlugin(std::vector<Rank> ranks, const std::string& path) {
  for (Rank& rank : ranks) rank.environment["LONGHAUL_SITE_PLUGIN"] = path;
  return ranks;
}

std::vector<Rank> WithSetting(std::vector<Rank> ranks, const std::string& name,
                              const std::string& value) {
  for (Rank& rank : ranks) rank.environment[name] = value;
  return ranks;
}

// What NCCL's log holds of warnings in this process.
struct Warnings {
  std::mutex mutex;
  std::string text;
};
Warnings& TheWarnings() {
  static Warnings warnings;
  return warnings;
}

void Log(abi::LogLevel level, uint64_t /*flags*/, const char* /*file*/,
         int /*line*/, const char* format, ...) {
  if (level != abi::LogLevel::kWarn) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  Warnings& warnings = TheWarnings();
  const std::lock_guard lock(warnings.mutex);
  warnings.text += line;
  warnings.text += '\n';
}

testing::AssertionResult Warned(const std::string& what) {
  Warnings& warnings = TheWarnings();
  const std::lock_guard lock(warnings.mutex);
  if (warnings.text.find(what) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << '"' << what << "\" is not in\n"
                                     << warnings.text;
}

// connect() or accept() until there is a comm or a fault.
template <typename Call>
abi::ResultCode Until(Call call, void** comm) {
  abi::ResultCode code = kOk;
  while (code == kOk && !*comm) {
    code = call(comm);
    std::this_thread::yield();
  }
  return code;
}

const std::vector<size_t>& Mixed() {
  static const std::vector<size_t> sizes = {
      0, 1, 7, 8, 4096, 0, 0, 100'003, 524'288, 3, 3, 1 << 20, 77'777, 0};
  return sizes;
}

// Our version, and the child's.
class SitePluginTest : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  static int version() { return std::get<0>(GetParam()); }
  static int child() { return std::get<1>(GetParam()); }
};

std::string NameOfVersions(
    const testing::TestParamInfo<std::tuple<int, int>>& info) {
  return "v" + std::to_string(std::get<0>(info.param)) + "OverV" +
         std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Some, SitePluginTest,
                         testing::Combine(testing::Values(8, 11, 12),
                                          testing::Values(8, 11)),
                         NameOfVersions);

TEST_P(SitePluginTest, CarriesWhatStaysInTheSite) {
  RunProcesses(WithPlugin(OneSite(), PathOf(child())), [](Process& process) {
    NetEnd end(version());
    const OneWay way = ConnectOneWay(&end, &process);
    const Counts& counts = CountsOf(child());
    EXPECT_EQ(counts.comms, 1);
    EXPECT_EQ(counts.listeners, 0) << "one accept each";
    Stream(&end, &process, way.comm, Mixed());
    const auto messages = static_cast<int>(Mixed().size());
    EXPECT_EQ(counts.sends, process.rank() == 0 ? messages : 0);
    EXPECT_EQ(counts.recvs, process.rank() == 1 ? messages : 0);
    EXPECT_EQ(counts.mr_uses, messages) << "memory is registered with it";
    EXPECT_GT(counts.refusals, 0);
    const bool hints = version() >= 9 && child() >= 9 && process.rank() == 1;
    EXPECT_EQ(counts.hints > 0, hints);
    EXPECT_EQ(counts.registered, 0);
    process.Barrier();
    CloseOneWay(&end, &process, way);
    EXPECT_EQ(counts.comms, 0);
  });
}

TEST_P(SitePluginTest, HasNothingToDoWithOtherSites) {
  RunProcesses(WithPlugin(TwoSites(), PathOf(child())), [](Process& process) {
    NetEnd end(version());
    const OneWay way = ConnectOneWay(&end, &process);
    Stream(&end, &process, way.comm, Mixed());
    const Counts& counts = CountsOf(child());
    EXPECT_EQ(counts.inits, 1);
    EXPECT_EQ(counts.comms, 0);
    EXPECT_EQ(counts.registered, 0);
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

TEST_P(SitePluginTest, ClosesWithRequestsUnderWay) {
  RunProcesses(WithPlugin(OneSite(), PathOf(child())), [](Process& process) {
    NetEnd end(version());
    const OneWay way = ConnectOneWay(&end, &process);
    std::vector<std::byte> memory(size_t{4} << 20);
    if (process.rank() == 0) {
      SendSoon(end.net(), way.comm, memory.data(), memory.size());
    } else {
      for (size_t i = 0; i < 8; ++i) {
        RecvSoon(end.net(), way.comm, memory.data() + i * 1000, 1000);
      }
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
    EXPECT_EQ(CountsOf(child()).comms, 0);
  });
}

TEST_P(SitePluginTest, ItsFaultsAreOurs) {
  RunProcesses(WithPlugin(OneSite(), PathOf(child())), [](Process& process) {
    NetEnd end(version(), 1, Log);
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 1) {
      std::byte data[64];
      void* const request = RecvSoon(end.net(), way.comm, data, sizeof data);
      process.Barrier();  // the peer has closed
      int done = 0;
      abi::ResultCode code = kOk;
      while (code == kOk && !done) {
        code = end->Test(request, &done, nullptr);
        std::this_thread::yield();
      }
      EXPECT_EQ(code, abi::ResultCode::kRemoteError);
      EXPECT_EQ(end->Test(request, &done, nullptr),
                abi::ResultCode::kRemoteError);
      EXPECT_TRUE(Warned("LONGHAUL_SITE_PLUGIN names, failed in test"));
      EXPECT_EQ(end->CloseRecv(way.comm), kOk);
      EXPECT_EQ(end->CloseListen(way.listen), kOk);
    } else {
      EXPECT_EQ(end->CloseSend(way.comm), kOk);
      process.Barrier();
    }
  });
}

// While it is set, the child of rank 0 does not connect.
constexpr const char* kMute = "CHILD_NET_MUTE";

// Rank 0 begins to connect and gets no further; rank 2 must not wait for it.
TEST_P(SitePluginTest, WhoeverIsSlowKeepsNobodyWaiting) {
  std::vector<Rank> ranks =
      WithPlugin(InSites({"paris", "paris", "paris"}), PathOf(child()));
  ranks[0].environment[kMute] = "1";
  RunProcesses(ranks, [](Process& process) {
    NetEnd end(version());
    if (process.rank() == 1) {
      Listener listener = end.Listen();
      process.Send(0, listener.handle.bytes());
      void* second = nullptr;
      while (CountsOf(child()).listeners == 0) {
        ASSERT_EQ(end->Accept(listener.comm, &second), kOk);
        ASSERT_EQ(second, nullptr);
        std::this_thread::yield();
      }
      process.Send(2, listener.handle.bytes());
      second = end.Accept(listener.comm);
      Stream(&end, &process, second, {10, 100'000});
      process.Barrier();
      void* const first = end.Accept(listener.comm);
      process.Barrier();
      EXPECT_EQ(CountsOf(child()).comms, 2);
      EXPECT_EQ(end->CloseRecv(first), kOk);
      EXPECT_EQ(end->CloseRecv(second), kOk);
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    } else {
      Handle handle = Handle::Of(process.Recv(1));
      void* comm = nullptr;
      if (process.rank() == 0) {
        ASSERT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
        ASSERT_EQ(comm, nullptr);
      } else {
        comm = end.Connect(handle);
        SendProxy proxy(end.net(), comm, {10, 100'000}, Filling(1));
        EXPECT_EQ(Drive(&proxy), kOk);
      }
      process.Barrier();
      unsetenv(kMute);
      while (!comm) {
        ASSERT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
        std::this_thread::yield();
      }
      process.Barrier();
      EXPECT_EQ(end->CloseSend(comm), kOk);
    }
  });
}

// A peer that is half-way is let go of with its listener.
TEST_P(SitePluginTest, ConnectsThatAreGivenUpLeaveNothing) {
  std::vector<Rank> ranks = WithPlugin(OneSite(), PathOf(child()));
  ranks[0].environment[kMute] = "1";
  RunProcesses(ranks, [](Process& process) {
    NetEnd end(version());
    if (process.rank() == 1) {
      Listener listener = end.Listen();
      process.Send(0, listener.handle.bytes());
      const Counts& counts = CountsOf(child());
      void* comm = nullptr;
      while (counts.listeners == 0) {
        ASSERT_EQ(end->Accept(listener.comm, &comm), kOk);
        std::this_thread::yield();
      }
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
      EXPECT_EQ(counts.listeners, 0);
    } else {
      Handle handle = Handle::Of(process.Recv(1));
      void* comm = nullptr;
      EXPECT_EQ(end->Connect(end.context(), 0, handle.data(), &comm), kOk);
    }
    process.Barrier();
  });
}

// --- What a context has of it

TEST(SitePluginLifeTest, EachContextIsAContextOfIts) {
  RunProcesses(WithPlugin(InSites({"paris"}), PathOf(11)), [](Process&) {
    const Counts& counts = CountsOf(11);
    {
      NetEnd one(12, 71);
      EXPECT_EQ(counts.inits, 1);
      EXPECT_EQ(counts.comm_id, 71U);
      NetEnd other(12, 72);
      EXPECT_EQ(counts.inits, 2);
      EXPECT_EQ(counts.comm_id, 72U);
      EXPECT_EQ(counts.finalizes, 0);
    }
    EXPECT_EQ(counts.finalizes, 2);
    NetEnd again(12, 73);
    EXPECT_EQ(counts.inits, 3);
  });
}

TEST(SitePluginLifeTest, OneWithoutContextsBeginsOnce) {
  RunProcesses(WithPlugin(InSites({"paris"}), PathOf(8)), [](Process&) {
    for (int i = 0; i < 2; ++i) {
      NetEnd one(12, 1);
      NetEnd other(12, 2);
      EXPECT_EQ(CountsOf(8).inits, 1);
    }
  });
}

// --- What does not work

// init() fails, and says why.
void ExpectNoStart(const std::string& path, const std::string& why,
                   const Environment& more = {}) {
  std::vector<Rank> ranks = WithPlugin(InSites({"paris"}), path);
  for (const auto& [name, value] : more) {
    ranks = WithSetting(std::move(ranks), name, value);
  }
  RunProcesses(ranks, [&](Process&) {
    const Library library = Library::Open(LONGHAUL_PLUGIN_PATH).value();
    const std::unique_ptr<NetTable> net = FindNet(library, 12);
    void* context = nullptr;
    EXPECT_NE(net->Init(&context, 1, Log), kOk);
    EXPECT_TRUE(Warned("LONGHAUL_SITE_PLUGIN: "));
    EXPECT_TRUE(Warned(path));
    EXPECT_TRUE(Warned(why));
  });
}

TEST(SitePluginFaultsTest, AFileThatIsNoSuchPluginEndsTheStart) {
  ExpectNoStart("/nowhere/libnccl-net-none.so", "No such file");
  ExpectNoStart("libc.so.6", "has no network of NCCL's in version 8 to 12");
  ExpectNoStart(LONGHAUL_PLUGIN_PATH, "is longhaul itself");
}

TEST(SitePluginFaultsTest, APluginWithoutWhatIsNeededEndsTheStart) {
  for (const int child : {8, 11}) {
    ExpectNoStart(PathOf(child), "finds no device",
                  {{"CHILD_NET_DEVICES", "0"}});
    ExpectNoStart(PathOf(child), "does not take host memory",
                  {{"CHILD_NET_PTR", std::to_string(abi::kPtrCuda)}});
  }
}

// Rank 0 connects, rank 1 accepts; neither gets a comm.
void ExpectNoConnection(const std::vector<Rank>& ranks,
                        const std::map<int, std::string>& warnings) {
  RunProcesses(ranks, [&](Process& process) {
    NetEnd end(12, 1, Log);
    void* comm = nullptr;
    if (process.rank() == 0) {
      Handle handle = Handle::Of(process.Recv(1));
      const auto call = [&](void** made) {
        return end->Connect(end.context(), 0, handle.data(), made);
      };
      EXPECT_NE(Until(call, &comm), kOk);
    } else {
      Listener listener = end.Listen();
      process.Send(0, listener.handle.bytes());
      const auto call = [&](void** made) {
        return end->Accept(listener.comm, made);
      };
      EXPECT_NE(Until(call, &comm), kOk);
      EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    }
    EXPECT_EQ(comm, nullptr);
    EXPECT_TRUE(Warned(warnings.at(process.rank())));
    process.Barrier();
  });
}

TEST(SitePluginFaultsTest, WhereOneEndHasNoneBothSaySo) {
  const std::string same =
      "LONGHAUL_SITE_PLUGIN must be the same on all ranks of a site: it is set "
      "at process";
  const std::string here =
      "LONGHAUL_SITE_PLUGIN must be the same on all ranks of a site: it is set "
      "here";
  for (const size_t with : {0U, 1U}) {
    std::vector<Rank> ranks = OneSite();
    ranks[with].environment["LONGHAUL_SITE_PLUGIN"] = PathOf(11);
    const int who = static_cast<int>(with);
    ExpectNoConnection(ranks, {{who, here}, {1 - who, same}});
  }
}

TEST(SitePluginFaultsTest, WhereEndsHaveDifferentOnesBothSaySo) {
  std::vector<Rank> ranks =
      WithSetting(OneSite(), "LONGHAUL_CONNECT_TIMEOUT", "1s");
  ranks[0].environment["LONGHAUL_SITE_PLUGIN"] = PathOf(11);
  ranks[1].environment["LONGHAUL_SITE_PLUGIN"] = PathOf(8);
  ExpectNoConnection(ranks, {{0, "here it names ChildNet, and at process"},
                             {1,
                              "by OldChildNet, which LONGHAUL_SITE_PLUGIN "
                              "names, within LONGHAUL_CONNECT_TIMEOUT"}});
}

TEST(SitePluginFaultsTest, APeerThatNeverComesThroughIsNotWaitedForLonger) {
  std::vector<Rank> ranks = WithPlugin(OneSite(), PathOf(11));
  for (Rank& rank : ranks) {
    rank.environment["LONGHAUL_CONNECT_TIMEOUT"] = "1s";
    rank.environment["CHILD_NET_DEAF"] = "1";
  }
  RunProcesses(ranks, [](Process& process) {
    NetEnd end(12, 1, Log);
    void* comm = nullptr;
    if (process.rank() == 0) {
      comm = end.Connect(Handle::Of(process.Recv(1)));
      process.Barrier();
      EXPECT_EQ(end->CloseSend(comm), kOk);
      return;
    }
    Listener listener = end.Listen();
    process.Send(0, listener.handle.bytes());
    const auto call = [&](void** made) {
      return end->Accept(listener.comm, made);
    };
    EXPECT_EQ(Until(call, &comm), abi::ResultCode::kRemoteError);
    EXPECT_TRUE(Warned("do its devices reach each other?"));
    EXPECT_EQ(CountsOf(11).listeners, 0);
    EXPECT_EQ(end->CloseListen(listener.comm), kOk);
    process.Barrier();
  });
}

TEST(SitePluginFaultsTest, AMessageTooLongForItIsRefused) {
  RunProcesses(WithPlugin(OneSite(), PathOf(8)), [](Process& process) {
    NetEnd end(12, 1, Log);
    const OneWay way = ConnectOneWay(&end, &process);
    if (process.rank() == 0) {
      std::byte data[1];
      void* request = nullptr;
      EXPECT_NE(
          end->Isend(way.comm, data, size_t{1} << 31, 0, nullptr, &request),
          kOk);
      EXPECT_EQ(request, nullptr);
      EXPECT_TRUE(Warned("OldChildNet takes 2147483647 at most"));
    }
    process.Barrier();
    CloseOneWay(&end, &process, way);
  });
}

}  // namespace
}  // namespace longhaul::nccl
