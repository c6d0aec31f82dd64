#include "topology/topology_toml.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/parse.h"
#include "base/text.h"

namespace longhaul {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  Status Read(const toml::table& root, TopologyFile* file) {
    CheckKeys(root, "the file", {"site", "path"});
    ForEachTable(root, "site", [&](const toml::table& table) {
      file->sites.push_back(ReadSite(table, *file));
    });
    ForEachTable(root, "path", [&](const toml::table& table) {
      file->paths.push_back(ReadPath(table, *file));
    });
    if (file->sites.empty()) {
      Refuse(root, "no site; write [[site]] with a name and hosts");
    }
    return std::move(status_);
  }

 private:
  // The first fault is kept; what is read after it is thrown away.
  void Refuse(const toml::source_region& where, const std::string& what) {
    if (!status_.ok()) return;
    status_ =
        Status(StatusCode::kInvalidArgument,
               Text("%s:%u: %s", name_.c_str(),
                    static_cast<unsigned>(where.begin.line), what.c_str()));
  }
  void Refuse(const toml::node& where, const std::string& what) {
    Refuse(where.source(), what);
  }

  void CheckKeys(const toml::table& table, const char* where,
                 std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : table) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) {
        continue;
      }
      std::string text = Text("unknown key \"%s\" in %s",
                              std::string(key.str()).c_str(), where);
      const std::string_view nearest =
          NearestName(key.str(), std::span(known.begin(), known.size()));
      if (!nearest.empty()) {
        text += "; did you mean \"" + std::string(nearest) + "\"?";
      }
      text += " Known are";
      for (const std::string_view name : known) {
        text += name == *known.begin() ? " " : ", ";
        text += name;
      }
      Refuse(key.source(), text);
    }
  }

  template <typename Visit>
  void ForEachTable(const toml::table& root, const char* key, Visit visit) {
    const toml::node* node = root.get(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr || !array->is_homogeneous<toml::table>()) {
      return Refuse(*node, Text("write [[%s]], with two brackets", key));
    }
    for (const toml::node& entry : *array) visit(*entry.as_table());
  }

  std::string ReadText(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const auto* text = node->as_string();
    if (text == nullptr || text->get().empty()) {
      Refuse(*node, Text("%s is not a text; write it in quotes", key));
      return {};
    }
    return text->get();
  }

  std::vector<std::string> ReadTexts(const toml::table& table,
                                     const char* key) {
    std::vector<std::string> texts;
    const toml::node* node = table.get(key);
    if (node == nullptr) return texts;
    const toml::array* array = node->as_array();
    if (array == nullptr ||
        (!array->empty() && !array->is_homogeneous<std::string>())) {
      Refuse(*node,
             Text("%s is not a list of texts; write [\"a\", \"b\"]", key));
      return texts;
    }
    for (const toml::node& entry : *array) {
      texts.push_back(entry.as_string()->get());
    }
    return texts;
  }

  std::optional<double> ReadRate(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const auto* text = node->as_string();
    const std::optional<double> rate =
        text ? ParseRate(text->get()) : std::nullopt;
    if (!rate || !(*rate > 0)) {
      Refuse(*node, Text("%s is not a rate above 0; write a number with kbit, "
                         "mbit or gbit (per second, powers of 1000) in "
                         "quotes, e.g. \"500mbit\"",
                         key));
      return {};
    }
    return rate;
  }

  std::optional<Duration> ReadDelay(const toml::table& table) {
    const toml::node* node = table.get("delay");
    if (node == nullptr) return {};
    const auto* text = node->as_string();
    const std::optional<Duration> delay =
        text ? ParseTime(text->get()) : std::nullopt;
    if (!delay) {
      Refuse(*node,
             "delay is not a time; write the one-way delay with us, ms or s "
             "in quotes, e.g. \"50ms\"");
    }
    return delay;
  }

  std::optional<double> ReadLoss(const toml::table& table) {
    const toml::node* node = table.get("loss");
    if (node == nullptr) return {};
    const std::optional<double> loss = node->value<double>();
    if (!loss || !(*loss >= 0 && *loss < 1)) {
      Refuse(*node,
             "loss is not a share; write the share of packets lost, from 0 to "
             "below 1, e.g. 0.001");
      return {};
    }
    return loss;
  }

  std::array<std::string, 2> ReadVia(const toml::table& table) {
    const toml::node* node = table.get("via");
    if (node == nullptr) return {};
    std::vector<std::string> ends;
    if (const auto* both = node->as_string()) {
      ends = {both->get(), both->get()};
    } else if (const auto* array = node->as_array();
               array != nullptr && array->is_homogeneous<std::string>()) {
      ends = ReadTexts(table, "via");
    }
    if (ends.size() != 2 || ends[0].empty() || ends[1].empty()) {
      Refuse(*node,
             "via is not what the path begins and ends with; write the "
             "interface (or address) at each of the two sites, e.g. [\"p0\", "
             "\"eth1\"], or one for both, \"p0\"");
      return {};
    }
    return {ends[0], ends[1]};
  }

  TopologyFile::Site ReadSite(const toml::table& table,
                              const TopologyFile& file) {
    CheckKeys(table, "[[site]]", {"name", "hosts", "wan", "no_wan_hosts"});
    TopologyFile::Site site;
    site.spec.name = ReadText(table, "name");
    if (site.spec.name.empty()) Refuse(table, "this [[site]] has no name");
    if (file.FindSite(site.spec.name) >= 0) {
      Refuse(table, "a second site is named \"" + site.spec.name + "\"");
    }
    site.hosts = ReadTexts(table, "hosts");
    site.no_wan_hosts = ReadTexts(table, "no_wan_hosts");
    const toml::node* wan = table.get("wan");
    if (wan == nullptr) return site;
    const toml::table* rates = wan->as_table();
    if (rates == nullptr) {
      Refuse(*wan,
             "wan is not a pair of rates; write { up = \"500mbit\", down = "
             "\"1gbit\" }");
      return site;
    }
    CheckKeys(*rates, "wan", {"up", "down"});
    site.spec.wan_up = ReadRate(*rates, "up");
    site.spec.wan_down = ReadRate(*rates, "down");
    return site;
  }

  PathSpec ReadPath(const toml::table& table, const TopologyFile& file) {
    CheckKeys(table, "[[path]]", {"between", "rate", "delay", "loss", "via"});
    PathSpec path;
    const std::vector<std::string> ends = ReadTexts(table, "between");
    if (ends.size() != 2 || ends[0] == ends[1]) {
      Refuse(table,
             "a [[path]] is between two sites; write between = [\"a\", "
             "\"b\"]");
      return path;
    }
    for (const std::string& end : ends) {
      if (file.FindSite(end) >= 0) continue;
      Refuse(*table.get("between"), "no [[site]] is named \"" + end + "\"");
    }
    path.a = file.FindSite(ends[0]);
    path.b = file.FindSite(ends[1]);
    path.rate = ReadRate(table, "rate");
    path.delay = ReadDelay(table);
    path.loss = ReadLoss(table);
    path.via = ReadVia(table);
    return path;
  }

  const std::string name_;
  Status status_;
};

}  // namespace

Result<TopologyFile> ParseTopologyToml(std::string_view text,
                                       std::string_view name) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return Status(
        StatusCode::kInvalidArgument,
        Text("%s:%u: %s", std::string(name).c_str(),
             static_cast<unsigned>(parsed.error().source().begin.line),
             std::string(parsed.error().description()).c_str()));
  }
  TopologyFile file;
  Status status = Reader(name).Read(parsed.table(), &file);
  if (!status.ok()) return status;
  return file;
}

}  // namespace longhaul
