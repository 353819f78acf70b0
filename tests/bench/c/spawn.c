// The floor of starting processes: posix_spawn and waitpid with a bounded number alive, spread over
// J launcher processes.   spawn N SLOTS J PROGRAM
#define _GNU_SOURCE
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void launch(long jobs, int slots, char *program) {
  char *argv[] = {program, NULL};
  long started = 0, ended = 0;
  int alive = 0, status;
  while (ended < jobs) {
    for (; alive < slots && started < jobs; alive++, started++) {
      pid_t pid;
      if (posix_spawn(&pid, program, NULL, NULL, argv, environ)) _exit(1);
    }
    if (waitpid(-1, &status, 0) > 0) alive--, ended++;
  }
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  long jobs = atol(argv[1]);
  int slots = atoi(argv[2]), launchers = atoi(argv[3]);
  for (int i = 0; i < launchers; i++) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) {
      launch(jobs / launchers + (i < jobs % launchers), slots / launchers + (i < slots % launchers), argv[4]);
      _exit(0);
    }
  }
  int status, bad = 0;
  for (int i = 0; i < launchers; i++) wait(&status), bad |= status;
  return bad != 0;
}
