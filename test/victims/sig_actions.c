// SPDX-License-Identifier: GPL-2.0
/* Handlers with their flags and masks; ignored and default signals; a handler on the alternate
 * stack. */
#include "victim.h"

#include <signal.h>

enum { ALT = 65536 };

static char *alt;
static volatile int got, value, on_alt;

static void on_info(int signo, siginfo_t *info, void *context)
{
	char here;

	got = signo;
	value = info->si_value.sival_int;
	on_alt = &here >= alt && &here < alt + ALT;
}

static void on_plain(int signo)
{
	got = signo;
}

int main(int argc, char **argv)
{
	struct sigaction info = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction plain = { .sa_handler = on_plain, .sa_flags = SA_RESTART | SA_NODEFER };
	struct sigaction once = { .sa_handler = on_plain, .sa_flags = SA_RESETHAND }, now;
	stack_t stack = { .ss_size = ALT };

	victim_begin(argc, argv);
	stack.ss_sp = alt = malloc(ALT);
	sigaltstack(&stack, NULL);
	sigaddset(&info.sa_mask, SIGUSR2);
	sigaction(SIGRTMIN + 3, &info, NULL);
	sigaddset(&plain.sa_mask, SIGRTMAX);
	sigaction(SIGUSR1, &plain, NULL);
	sigaction(SIGUSR2, &once, NULL);
	signal(SIGPIPE, SIG_IGN);

	victim_ready();

	sigaction(SIGRTMIN + 3, NULL, &now);
	require(now.sa_sigaction == on_info, "handler");
	require((now.sa_flags & (SA_SIGINFO | SA_ONSTACK)) == (SA_SIGINFO | SA_ONSTACK), "flags %x",
		now.sa_flags);
	require(sigismember(&now.sa_mask, SIGUSR2) && !sigismember(&now.sa_mask, SIGUSR1), "mask");
	sigaction(SIGUSR1, NULL, &now);
	require((now.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER), "flags %x",
		now.sa_flags);
	require(sigismember(&now.sa_mask, SIGRTMAX), "mask");
	require(!sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 77 }), "sigqueue");
	require(got == SIGRTMIN + 3 && value == 77 && on_alt, "got %d, value %d, on_alt %d", got,
		value, on_alt);
	raise(SIGUSR2);
	require(got == SIGUSR2, "got %d", got);
	sigaction(SIGUSR2, NULL, &now);
	require(now.sa_handler == SIG_DFL, "SA_RESETHAND");
	sigaction(SIGPIPE, NULL, &now);
	require(now.sa_handler == SIG_IGN, "SIGPIPE");
	sigaction(SIGTERM, NULL, &now);
	require(now.sa_handler == SIG_DFL, "SIGTERM");
	victim_pass();
}
