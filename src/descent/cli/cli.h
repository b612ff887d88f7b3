// The program `descent`.
#pragma once
#include "descent/base/error.h"

namespace descent::cli {

// Parses the command line, runs the command and gives the exit code: 0 done; 2 usage or
// configuration; 3 data; 4 diverged; 70 a defect of descent; 130 and 143 interrupted, saved.
int run_program(int argc, char** argv);

// Prints "error: where: what" and the remedy below it to stderr; gives the exit code.
int report(const Error& error);

}  // namespace descent::cli
