#include <cstdio>
#include <fstream>
#include <iterator>
#include <regex>

#include "command/hosts.h"
#include "command/info.h"
#include "command/nccl_conf.h"
#include "doctor/gather.h"
#include "doctor/report.h"

namespace longhaul::command {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

nccl::Line ALine() {
  return {"paris", "tokyo", 1e10, 80 * kMillisecond, true, false};
}

std::string Conf(const std::string& topology) {
  return NcclConf(nccl::Advise(ALine(), {}), {}, topology).value();
}

TEST(NcclConfTest, EveryValueHasItsReasonAboveIt) {
  const std::string text = Conf("/etc/sites.toml");
  EXPECT_THAT(text, HasSubstr("\n# Loads libnccl-net-longhaul.so.\n"
                              "NCCL_NET_PLUGIN=longhaul\n"));
  EXPECT_THAT(text, EndsWith("\nLONGHAUL_TOPOLOGY=/etc/sites.toml\n"));
  EXPECT_THAT(text, HasSubstr("# Line: paris to tokyo: 10gbit, 80ms there and "
                              "back (assumed)\n"));
  EXPECT_THAT(text, HasSubstr("25 ms one way is assumed"));
}

// NCCL knows no quotes, no blanks around '=', and old releases no comments.
TEST(NcclConfTest, NcclReadsTheSettingsAndNothingElse) {
  const std::string text = Conf("/etc/s.toml");
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.find('=') == line.npos) continue;
    EXPECT_TRUE(std::regex_match(
        line, std::regex("(NCCL|LONGHAUL)_[A-Z0-9_]+=[A-Za-z0-9/.]+")))
        << line;
  }
  const std::vector<std::string> settings = doctor::NcclConfSettings(text);
  EXPECT_THAT(settings, Contains("NCCL_BUFFSIZE=8388608"));
  EXPECT_EQ(settings.size(), 11u);
}

TEST(NcclConfTest, NamesOfSitesBecomeNoSettings) {
  nccl::Line line = ALine();
  line.from = "a\nNCCL_ALGO=Ring";
  const std::string text =
      NcclConf(nccl::Advise(line, {}), {}, "/s.toml").value();
  EXPECT_THAT(text, HasSubstr("# Line: a NCCL_ALGO Ring to tokyo"));
}

TEST(NcclConfTest, RefusesPathsThatNcclCannotRead) {
  const nccl::Advice advice = nccl::Advise(ALine(), {});
  EXPECT_FALSE(NcclConf(advice, {}, "/a\nNCCL_ALGO=Ring").ok());
  EXPECT_FALSE(NcclConf(advice, {}, "/" + std::string(1023, 'a')).ok());
  EXPECT_TRUE(NcclConf(advice, {}, "/" + std::string(1022, 'a')).ok());
}

std::string Read(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(WriteNewFileTest, ReplacesOnlyWhenToldTo) {
  const std::string path = testing::TempDir() + "/longhaul_conf_test";
  std::remove(path.c_str());
  EXPECT_TRUE(WriteNewFile(path, "one", false).ok());
  EXPECT_EQ(Read(path), "one");
  const Status second = WriteNewFile(path, "two", false);
  EXPECT_EQ(second.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(second.text(), HasSubstr("exists; --force"));
  EXPECT_EQ(Read(path), "one");
  EXPECT_TRUE(WriteNewFile(path, "three", true).ok());
  EXPECT_EQ(Read(path), "three");
  std::remove(path.c_str());
}

TEST(WriteNewFileTest, NamesAFolderThatIsNotThere) {
  EXPECT_THAT(WriteNewFile("/nonexistent/conf", "", false).text(),
              HasSubstr("/nonexistent/conf: No such file"));
}

TEST(InfoTest, SaysWhereValuesAreFrom) {
  const char* const environment[] = {"LONGHAUL_WAN_FLOWS=8", "RANK=3",
                                     "LONGHAUL_SITE=auto",
                                     "NCCL_SOCKET_FAMILY=AF_INET6", nullptr};
  const Options options = Options::FromEnvironment(environment).value();
  const std::string text = InfoText(options, environment, false);
  const auto line = [&](const std::string& option) {
    const size_t at = text.find(option + "=");
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_THAT(line("LONGHAUL_WAN_FLOWS"), EndsWith("  # environment"));
  EXPECT_THAT(line("LONGHAUL_RANK"), HasSubstr("=3 "));
  EXPECT_THAT(line("LONGHAUL_RANK"), EndsWith("  # RANK"));
  EXPECT_THAT(line("LONGHAUL_ADDRESS_FAMILY"),
              EndsWith("  # NCCL_SOCKET_FAMILY"));
  EXPECT_THAT(line("LONGHAUL_SITE"), EndsWith("  # environment"));
  EXPECT_THAT(line("LONGHAUL_TIMEOUT"), EndsWith("  # default"));
}

TEST(InfoTest, ShowsEveryOptionAndInFullItsHelp) {
  const char* const environment[] = {"LONGHAUL_SITTE=x", nullptr};
  const Options options = Options::FromEnvironment(environment).value();
  const std::string shown = InfoText(options, environment, false);
  const std::string full = InfoText(options, environment, true);
  for (const OptionInfo& option : Options::Table()) {
    EXPECT_THAT(shown, HasSubstr(std::string("\n") + option.environment + "="));
  }
  EXPECT_THAT(full, HasSubstr("# Number of processes in the job.\n"));
  EXPECT_THAT(shown, Not(HasSubstr("# Number of processes")));
  EXPECT_THAT(shown, HasSubstr("# Warning: LONGHAUL_SITTE is set"));
}

TEST(ReportTest, TextHasVerdictsChangesAndCommands) {
  const std::vector<doctor::Finding> findings = {
      {.check = "a", .found = "fine"},
      {.check = "b",
       .verdict = doctor::Verdict::kProblem,
       .found = "bad",
       .change = "Do it.",
       .commands = {"sysctl -w b=1"}}};
  const std::string text =
      doctor::ReportText("node0", {.origin = "as given"}, findings);
  EXPECT_THAT(text, HasSubstr(" on node0\nline: 1gbit, 50ms there and back (as "
                              "given)\n\nok       a: fine\nproblem  b: bad\n"
                              "         Do it.\n             sysctl -w b=1\n\n"
                              "1 ok, 0 advice, 1 problem\n"));
  EXPECT_THAT(text, HasSubstr("/etc/sysctl.d/90-longhaul.conf"));
  EXPECT_THAT(doctor::ReportText("node0", {}, {findings[0]}),
              Not(HasSubstr("sysctl.d")));
}

TEST(ReportTest, JsonStandsAnyBytes) {
  const std::string text =
      doctor::ReportJson("h\xff", {}, {{.check = "a", .found = "\"\xfe\n"}});
  EXPECT_THAT(text, HasSubstr("\"verdict\": \"ok\""));
  EXPECT_THAT(text, HasSubstr("\"bdp_bytes\": 6250000"));
}

}  // namespace
}  // namespace longhaul::command
