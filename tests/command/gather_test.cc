#include "doctor/gather.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "doctor/library_probe.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul::doctor {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A folder of its own, gone with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "/doctor.XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void Write(const std::string& name, const std::string& text) const {
    const fs::path file = path_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path() const { return path_; }
  std::string path(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

TEST(KernelFilesTest, ReadsWhatIsThere) {
  const Folder root;
  root.Write("proc/sys/kernel/hostname", "gpu-a7\n");
  root.Write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  root.Write("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
  root.Write("proc/sys/net/core/default_qdisc", "fq\n");
  root.Write("sys/devices/system/clocksource/clocksource0/current_clocksource",
             "tsc\n");
  root.Write("sys/class/net/eth0/mtu", "9000\n");
  root.Write("sys/class/net/odd/mtu", "many\n");
  root.Write("lib/modules/6.1.0-18-amd64/modules.dep",
             "kernel/net/ipv4/tcp_bbr.ko.xz:\n");
  HostFacts facts;
  ReadKernelFiles(root.path(), &facts);
  EXPECT_EQ(facts.host, "gpu-a7");
  EXPECT_EQ(facts.kernel, "6.1.0-18-amd64");
  EXPECT_EQ(facts.sysctls.at("net.ipv4.tcp_rmem"), "4096\t131072\t6291456");
  EXPECT_EQ(facts.sysctls.at("net.core.default_qdisc"), "fq");
  EXPECT_EQ(facts.sysctls.size(), 2u);
  EXPECT_EQ(facts.clock_source, "tsc");
  EXPECT_THAT(facts.mtus,
              ElementsAre(std::pair<const std::string, int>("eth0", 9000)));
  EXPECT_TRUE(facts.bbr_module);
}

TEST(KernelFilesTest, AnEmptyRootHasNothing) {
  const Folder root;
  HostFacts facts;
  ReadKernelFiles(root.path(), &facts);
  EXPECT_THAT(facts.sysctls, IsEmpty());
  EXPECT_THAT(facts.mtus, IsEmpty());
  EXPECT_FALSE(facts.bbr_module);
}

TEST(NcclConfFilesTest, SettingsAreReadAsNcclReadsThem) {
  EXPECT_THAT(NcclConfSettings("# a=b\nNCCL_A=1\n\nnothing\nNCCL_B=x y=z"),
              ElementsAre("NCCL_A=1", "NCCL_B=x y=z"));
  EXPECT_THAT(NcclConfSettings(""), IsEmpty());
}

TEST(NcclConfFilesTest, TheEnvironmentWinsThenTheUsersFileThenTheHosts) {
  const Folder root;
  root.Write("home/.nccl.conf", "NCCL_A=home\nNCCL_B=home\n");
  root.Write("named.conf", "NCCL_B=named\n");
  root.Write("etc/nccl.conf", "NCCL_B=etc\nNCCL_C=etc\n");
  HostFacts facts;
  const char* const none[] = {"NCCL_A=set", nullptr};
  EXPECT_THAT(WithNcclConf(none, root.path(), root.path("home"), &facts),
              ElementsAre("NCCL_A=set", "NCCL_B=home", "NCCL_C=etc"));
  EXPECT_THAT(facts.nccl_confs, ElementsAre(root.path("home/.nccl.conf"),
                                            root.path() + "/etc/nccl.conf"));
  const std::string file = "NCCL_CONF_FILE=" + root.path("named.conf");
  const char* const named[] = {file.c_str(), nullptr};
  HostFacts other;
  EXPECT_THAT(WithNcclConf(named, root.path(), root.path("home"), &other),
              ElementsAre(file, "NCCL_B=named", "NCCL_C=etc"));
}

HostFacts Asked(std::vector<std::string> environment) {
  std::vector<const char*> entries;
  for (const std::string& entry : environment) entries.push_back(entry.c_str());
  entries.push_back(nullptr);
  HostFacts facts;
  facts.host = "node0";
  AskTheSystem(entries.data(), &facts);
  return facts;
}

TEST(AskTheSystemTest, ReadsOptionsAndKeepsVariables) {
  const HostFacts facts = Asked(
      {"LONGHAUL_SITE=paris", "NCCL_DEBUG=INFO", "HOME=/root", "NCCL_X="});
  EXPECT_TRUE(facts.options_status.ok());
  EXPECT_EQ(facts.site, "paris");
  EXPECT_EQ(facts.environment.size(), 2u);
  EXPECT_EQ(facts.environment.at("NCCL_DEBUG"), "INFO");
  EXPECT_GT(facts.open_files.soft, 0u);
  EXPECT_FALSE(Asked({"LONGHAUL_RANK=x"}).options_status.ok());
}

TEST(AskTheSystemTest, FindsTheHostInTheTopologyFile) {
  const Folder folder;
  folder.Write("sites.toml", "[[site]]\nname='rome'\nhosts=['node*']\n");
  const std::string set = "LONGHAUL_TOPOLOGY=" + folder.path("sites.toml");
  EXPECT_EQ(Asked({set}).site, "rome");
  folder.Write("sites.toml", "[[site]]\nname='rome'\nhosts=['other']\n");
  EXPECT_THAT(Asked({set}).topology.text(), HasSubstr("host node0 is in no"));
  EXPECT_THAT(Asked({"LONGHAUL_TOPOLOGY=/nonexistent.toml"}).topology.text(),
              HasSubstr("/nonexistent.toml"));
}

TEST(AskTheSystemTest, ReadsTheSecret) {
  const Folder folder;
  const std::string set = "LONGHAUL_SECRET_FILE=" + folder.path("secret");
  EXPECT_THAT(Asked({set}).secret.text(), HasSubstr("No such file"));
  folder.Write("secret", "0123456789abcde \n");
  EXPECT_THAT(Asked({set}).secret.text(), HasSubstr("fewer than 16 bytes"));
  folder.Write("secret", "0123456789abcdef\n");
  EXPECT_TRUE(Asked({set}).secret.ok());
}

TEST(AskTheSystemTest, SaysWhenEveryPortIsTaken) {
  Result<UniqueFd> taken =
      ListenTcp(Address::Loopback(AddressFamily::kIpv4, 0), std::nullopt, {});
  ASSERT_TRUE(taken.ok());
  const std::string port = std::to_string(LocalAddress(taken->get()).port);
  const std::vector<std::string> environment = {
      "LONGHAUL_INTERFACES==lo", "LONGHAUL_ADDRESS_FAMILY=ipv4",
      "LONGHAUL_PORT_RANGE=" + port + "-" + port};
  const HostFacts facts = Asked(environment);
  ASSERT_EQ(facts.ports.size(), 1u);
  EXPECT_EQ(facts.ports[0].status.code(), StatusCode::kExhausted);
  taken->Reset();
  EXPECT_TRUE(Asked(environment).ports[0].status.ok());
}

TEST(LibraryProbeTest, ALibraryAndItsSymbols) {
  const char* const symbols[] = {"cos", "ncclNetPlugin_v8"};
  const LibraryFact fact = ProbeLibrary("libm.so.6", symbols);
  EXPECT_TRUE(fact.loads) << fact.error;
  EXPECT_THAT(fact.path, HasSubstr("libm.so.6"));
  EXPECT_THAT(fact.symbols, ElementsAre("cos"));
  EXPECT_EQ(fact.version, 0);
}

TEST(LibraryProbeTest, NoneAndWhatIsNone) {
  const LibraryFact none = ProbeLibrary("libnone-of-that-name.so", {});
  EXPECT_FALSE(none.loads);
  EXPECT_THAT(none.error, HasSubstr("libnone-of-that-name.so"));
  const Folder folder;
  folder.Write("text.so", "not a library");
  EXPECT_FALSE(ProbeLibrary(folder.path("text.so"), {}).loads);
}

// Libraries of the test's own; their start-up code does what they are named
// after.
TEST(LibraryProbeTest, ALibraryThatEndsItsProcess) {
  const LibraryFact fact = ProbeLibrary(LH_TEST_LIBRARY_ABORTS, {});
  EXPECT_FALSE(fact.loads);
  EXPECT_THAT(fact.error, HasSubstr("ends the process"));
}

TEST(LibraryProbeTest, ALibraryThatNeverStarts) {
  const LibraryFact fact =
      ProbeLibrary(LH_TEST_LIBRARY_HANGS, {}, std::chrono::seconds(1));
  EXPECT_FALSE(fact.loads);
  EXPECT_THAT(fact.error, HasSubstr("takes too long"));
}

TEST(LibraryProbeTest, AVersionedLibraryThatPrints) {
  const LibraryFact fact = ProbeLibrary(LH_TEST_LIBRARY_VERSIONED, {});
  EXPECT_TRUE(fact.loads) << fact.error;
  EXPECT_EQ(fact.version, 22809);
  EXPECT_THAT(fact.symbols, IsEmpty());  // its output is not ours
}

}  // namespace
}  // namespace longhaul::doctor
