#include "base/log.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/address.h"

namespace longhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Lines {
  std::vector<std::string> texts;
  std::string origin;
  LogSink Sink() {
    return
        [this](LogLevel level, std::string_view from, std::string_view text) {
          origin = from;
          texts.push_back(std::string(NameOf(level)) + " " + std::string(text));
        };
  }
};

TEST(LogTest, LevelsBelowAreDropped) {
  Lines lines;
  Logger log(LogLevel::kWarn, lines.Sink());
  log.Write(LogLevel::kError, "a %d", 1);
  log.Write(LogLevel::kWarn, "b");
  log.Write(LogLevel::kInfo, "c");
  EXPECT_FALSE(log.Enabled(LogLevel::kInfo));
  log.SetLevel(LogLevel::kTrace);
  log.Write(LogLevel::kTrace, "d");
  EXPECT_THAT(lines.texts, ElementsAre("error a 1", "warn b", "trace d"));
}

TEST(LogTest, OriginNamesHostProcessAndRank) {
  Lines lines;
  Logger log(LogLevel::kWarn, lines.Sink());
  const std::string process = HostName() + ":" + std::to_string(getpid());
  log.Write(LogLevel::kWarn, "x");
  EXPECT_EQ(lines.origin, process);
  log.SetRank(3);
  log.Write(LogLevel::kWarn, "x");
  EXPECT_EQ(lines.origin, process + " rank 3");
  EXPECT_EQ(LogLine(LogLevel::kWarn, "node0:1 rank 3", "lost"),
            "longhaul: [warn] node0:1 rank 3: lost\n");
}

TEST(LogTest, OnceWritesTheFirstOfEachKey) {
  Lines lines;
  Logger log(LogLevel::kWarn, lines.Sink());
  for (int i = 0; i < 3; ++i) {
    log.Once(LogLevel::kWarn, "a", "first %d", i);
    log.Once(LogLevel::kWarn, "b", "second %d", i);
  }
  EXPECT_THAT(lines.texts, ElementsAre("warn first 0", "warn second 0"));
}

// A line that was not written has not been seen.
TEST(LogTest, OnceBelowTheLevelDoesNotUseUpTheKey) {
  Lines lines;
  Logger log(LogLevel::kWarn, lines.Sink());
  log.Once(LogLevel::kInfo, "a", "x");
  log.SetLevel(LogLevel::kInfo);
  log.Once(LogLevel::kInfo, "a", "x");
  EXPECT_THAT(lines.texts, ElementsAre("info x"));
}

TEST(LogTest, ThreadsWriteWholeLines) {
  Lines lines;
  Logger log(LogLevel::kInfo, lines.Sink());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        log.Write(LogLevel::kInfo, "same text");
        log.Once(LogLevel::kInfo, "key", "once");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines.texts.size(), 401u);
  EXPECT_EQ(std::count(lines.texts.begin(), lines.texts.end(), "info once"), 1);
}

TEST(LogTest, FileNameTakesHostAndProcessAndIsAppendedTo) {
  const std::string folder = testing::TempDir();
  Options options;
  options.log_file = folder + "/longhaul_log_test.%h.%p.100%%";
  const std::string path = folder + "/longhaul_log_test." + HostName() + "." +
                           std::to_string(getpid()) + ".100%";
  for (int i = 0; i < 2; ++i) {
    Result<std::unique_ptr<Logger>> log = Logger::Make(options);
    ASSERT_TRUE(log.ok()) << log.status().text();
    (*log)->Write(LogLevel::kWarn, "line %d", i);
    (*log)->Write(LogLevel::kInfo, "not at the default level");
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::filesystem::remove(path);
  EXPECT_THAT(text.str(), HasSubstr("line 0\nlonghaul: [warn] "));
  EXPECT_THAT(text.str(), testing::EndsWith("line 1\n"));
}

TEST(LogTest, FileThatCannotBeOpenedIsRefused) {
  Options options;
  options.log_file = "/nonexistent/folder/log";
  const auto log = Logger::Make(options);
  EXPECT_EQ(log.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(log.status().text(), HasSubstr("/nonexistent/folder/log"));
}

}  // namespace
}  // namespace longhaul
