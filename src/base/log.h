// Where words for people go. A Context owns one Logger and lends it to all it
// owns; there is no global one.
//
//   log.Write(LogLevel::kWarn, "path to site %s lost: %s", site, why);
//   longhaul: [warn] node0:4711 rank 3: path to site paris lost: reset
//
// Who first knows of a fault logs it, once; who passes it on does not.
//
// Any thread. A line below the level costs one relaxed load and its arguments;
// one that is written takes a lock, so not on data paths.
#pragma once

#include <longhaul/options.h>

#include <atomic>
#include <cstdarg>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace longhaul {

/// "error", "warn", "info", "debug", "trace".
const char* NameOf(LogLevel level) noexcept;

/// Takes one line without its end. `origin` is "node0:4711 rank 3". Called
/// under the logger's lock: it must not log.
using LogSink = std::function<void(LogLevel level, std::string_view origin,
                                   std::string_view text)>;

/// The line the built-in sinks write, with its '\n'.
std::string LogLine(LogLevel level, std::string_view origin,
                    std::string_view text);

/// Writes to a descriptor, which stays the caller's: one write(2) per line.
LogSink DescriptorSink(int descriptor);
/// Appends to a file; %h in the path becomes the host's name, %p the process
/// id, %% a %. kInvalidArgument if it cannot be opened.
Result<LogSink> FileSink(std::string_view path);

class Logger {
 public:
  /// Warnings and errors, to stderr.
  Logger();
  Logger(LogLevel level, LogSink sink);
  /// As options.log and options.log_file say.
  static Result<std::unique_ptr<Logger>> Make(const Options& options);
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool Enabled(LogLevel level) const noexcept {
    return level <= level_.load(std::memory_order_relaxed);
  }
  void SetLevel(LogLevel level) noexcept {
    level_.store(level, std::memory_order_relaxed);
  }
  /// Names the process by its rank in lines from now on.
  void SetRank(int32_t rank) noexcept {
    rank_.store(rank, std::memory_order_relaxed);
  }

  [[gnu::format(printf, 3, 4)]] void Write(LogLevel level, const char* format,
                                           ...);
  /// The first line of each key; later ones are dropped.
  [[gnu::format(printf, 4, 5)]] void Once(LogLevel level, std::string_view key,
                                          const char* format, ...);

 private:
  void WriteArguments(LogLevel level, const char* format, va_list arguments);

  const std::string host_;
  std::atomic<LogLevel> level_;
  std::atomic<int32_t> rank_{-1};
  std::mutex mutex_;  // guards the sink's calls and seen_
  LogSink sink_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace longhaul
