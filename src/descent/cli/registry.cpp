#include "descent/cli/registry.h"

namespace descent::cli {

void register_train(Commands&);
void register_evaluate(Commands&);
void register_predict(Commands&);
void register_generate(Commands&);
void register_minimize(Commands&);
void register_fit(Commands&);
void register_inspect(Commands&);
void register_replay(Commands&);
void register_report(Commands&);
void register_lr_find(Commands&);
void register_compare(Commands&);
void register_doctor(Commands&);
void register_docs(Commands&);

void register_all(Commands& commands) {
  register_train(commands);
  register_evaluate(commands);
  register_predict(commands);
  register_generate(commands);
  register_minimize(commands);
  register_fit(commands);
  register_inspect(commands);
  register_replay(commands);
  register_report(commands);
  register_lr_find(commands);
  register_compare(commands);
  register_doctor(commands);
  register_docs(commands);
}

}  // namespace descent::cli
