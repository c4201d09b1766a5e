/* The evaluating role as a program of its own: what pushrod @eval is, for tests that have no pushrod. */
#include "eval/eval.h"

int main(int argc, char **argv)
{
	return eval_main(argc, argv);
}
