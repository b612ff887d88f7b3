// Errors that say what is wrong, where, and how to mend it. The kind decides the exit code.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

namespace descent {

enum class ErrorKind {
  usage = 2,      // command line, configuration, a call that cannot work (shapes that do not fit)
  data = 3,       // a file's content
  diverged = 4,   // training produced NaN or Inf
  internal = 70,  // a defect of descent itself
};

// what: one sentence; where: "data.csv:12:5", "layer 3 (linear)", ...; remedy: what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string what, std::string where = {}, std::string remedy = {});
  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& where() const { return where_; }
  const std::string& remedy() const { return remedy_; }
  // The same error with "outer: " before its place, or with the place where it had none.
  Error at(const std::string& outer) const;

 private:
  ErrorKind kind_;
  std::string message_, where_, remedy_;
};

// The candidate nearest to word in edit distance (at most a third of its length), or "".
std::string closest(const std::string& word, const std::vector<std::string>& candidates);
// "did you mean \"x\"?" or "one of: a, b, c".
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace descent
