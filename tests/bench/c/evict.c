// The floor of an eviction: TERM to a victim that ends at once, wait for it, posix_spawn the
// successor.   evict ROUNDS SETTLE_US VICTIM VICTIM_ARGUMENT SUCCESSOR PIPE
// The successor writes into PIPE when it runs. Prints the medians in nanoseconds, from the decision
// until posix_spawn has returned, and until the successor ran.
#define _GNU_SOURCE
#include <fcntl.h>
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

static long long median(long long *all, int count) {
  qsort(all, count, sizeof *all, by_size);
  return all[count / 2];
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  int rounds = atoi(argv[1]), settle = atoi(argv[2]), status, pipe = open(argv[6], O_RDWR);
  char *victim[] = {argv[3], argv[4], NULL}, *successor[] = {argv[5], argv[6], NULL};
  if (rounds < 1 || pipe < 0) return 1;
  long long *known = calloc(rounds, sizeof *known), *runs = calloc(rounds, sizeof *runs), ran;
  if (!known || !runs) return 1;
  for (int i = 0; i < rounds; i++) {
    pid_t old, new;
    if (posix_spawn(&old, victim[0], NULL, NULL, victim, environ)) return 1;
    usleep(settle);
    long long decided = now();
    kill(old, SIGTERM);
    waitpid(old, &status, 0);
    if (posix_spawn(&new, successor[0], NULL, NULL, successor, environ)) return 1;
    known[i] = now() - decided;
    waitpid(new, &status, 0);
    if (status || read(pipe, &ran, sizeof ran) != sizeof ran) return 1;
    runs[i] = ran - decided;
  }
  printf("%lld %lld\n", median(known, rounds), median(runs, rounds));
  return 0;
}
