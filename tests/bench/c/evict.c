// The floor of an eviction: TERM to a victim that ends at once, wait for it, posix_spawn the
// successor.   evict ROUNDS SETTLE_US VICTIM VICTIM_ARGUMENT SUCCESSOR
// Prints the median in nanoseconds.
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  int rounds = atoi(argv[1]), settle = atoi(argv[2]), status;
  char *victim[] = {argv[3], argv[4], NULL}, *successor[] = {argv[5], NULL};
  long long *took = calloc(rounds > 0 ? rounds : 1, sizeof *took);
  if (!took || rounds < 1) return 1;
  for (int i = 0; i < rounds; i++) {
    pid_t old, new;
    if (posix_spawn(&old, victim[0], NULL, NULL, victim, environ)) return 1;
    usleep(settle);
    long long decided = now();
    kill(old, SIGTERM);
    waitpid(old, &status, 0);
    if (posix_spawn(&new, successor[0], NULL, NULL, successor, environ)) return 1;
    took[i] = now() - decided;
    waitpid(new, &status, 0);
  }
  qsort(took, rounds, sizeof *took, by_size);
  printf("%lld\n", took[rounds / 2]);
  return 0;
}
