#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/address.h"
#include "base/text.h"

namespace longhaul {
namespace {

void WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody is left to tell
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::string ExpandPath(std::string_view path) {
  std::string expanded;
  for (size_t i = 0; i < path.size(); ++i) {
    const char next = i + 1 < path.size() ? path[i + 1] : '\0';
    if (path[i] != '%' || (next != 'h' && next != 'p' && next != '%')) {
      expanded += path[i];
      continue;
    }
    ++i;
    if (next == 'h') expanded += HostName();
    if (next == 'p') expanded += std::to_string(getpid());
    if (next == '%') expanded += '%';
  }
  return expanded;
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

const char* NameOf(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kTrace:
      return "trace";
  }
  return "?";
}

std::string LogLine(LogLevel level, std::string_view origin,
                    std::string_view text) {
  std::string line = Text("longhaul: [%s] ", NameOf(level));
  line += origin;
  line += ": ";
  line += text;
  line += '\n';
  return line;
}

LogSink DescriptorSink(int descriptor) {
  return [descriptor](LogLevel level, std::string_view origin,
                      std::string_view text) {
    WriteAll(descriptor, LogLine(level, origin, text));
  };
}

Result<LogSink> FileSink(std::string_view path) {
  const std::string expanded = ExpandPath(path);
  const int descriptor =
      open(expanded.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return Status(StatusCode::kInvalidArgument,
                  Text("LONGHAUL_LOG_FILE: cannot open %s: %s",
                       expanded.c_str(), std::strerror(errno)));
  }
  // Shared because a std::function must be copyable.
  return LogSink(
      [file = std::make_shared<File>(descriptor)](
          LogLevel level, std::string_view origin, std::string_view text) {
        WriteAll(file->descriptor(), LogLine(level, origin, text));
      });
}

Logger::Logger() : Logger(LogLevel::kWarn, DescriptorSink(STDERR_FILENO)) {}

Logger::Logger(LogLevel level, LogSink sink)
    : host_(HostName()), level_(level), sink_(std::move(sink)) {}

Result<std::unique_ptr<Logger>> Logger::Make(const Options& options) {
  if (options.log_file.empty()) {
    return std::make_unique<Logger>(options.log, DescriptorSink(STDERR_FILENO));
  }
  Result<LogSink> sink = FileSink(options.log_file);
  if (!sink.ok()) return sink.status();
  return std::make_unique<Logger>(options.log, std::move(sink).value());
}

void Logger::WriteArguments(LogLevel level, const char* format,
                            va_list arguments) {
  const std::string text = VaText(format, arguments);
  std::string origin = host_ + Text(":%d", static_cast<int>(getpid()));
  const int32_t rank = rank_.load(std::memory_order_relaxed);
  if (rank >= 0) origin += Text(" rank %d", rank);
  const std::lock_guard lock(mutex_);
  sink_(level, origin, text);
}

void Logger::Write(LogLevel level, const char* format, ...) {
  if (!Enabled(level)) return;
  va_list arguments;
  va_start(arguments, format);
  WriteArguments(level, format, arguments);
  va_end(arguments);
}

void Logger::Once(LogLevel level, std::string_view key, const char* format,
                  ...) {
  if (!Enabled(level)) return;
  {
    const std::lock_guard lock(mutex_);
    if (seen_.contains(key)) return;
    seen_.emplace(key);
  }
  va_list arguments;
  va_start(arguments, format);
  WriteArguments(level, format, arguments);
  va_end(arguments);
}

}  // namespace longhaul
