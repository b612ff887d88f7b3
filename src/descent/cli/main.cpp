#include "descent/cli/cli.h"

int main(int argc, char** argv) { return descent::cli::run_program(argc, argv); }
