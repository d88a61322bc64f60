/*
 * Writes numbered blocks to every disk and reads them back, with requests that bypass the cache.
 *
 * A disk has some lanes. Each is a thread with a part of the disk, one request at a time. The write
 * with number n goes to the block that place(n) says, so the last number of each block follows from
 * the number of the last write. Before the first write and after every 64th, a lane notes the next
 * number in the first block of its part: after a restart it knows what each block has to hold at
 * least, and looks.
 *
 * Once a second a line for each disk:
 *   disk /dev/vda seconds=7 found=0 writes=700 wrong=0 errors=0 longest=0.004
 * found: the writes that the lanes' notes spoke of at the start; longest: the longest request.
 * Seconds are the guest's: they stop with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define MAGIC 0x6b636f6c62746772ull
#define MOST_LANES 8
#define MOST_BLOCKS 1024 /* of a lane; they are spread over its part of the disk */
#define NOTE_EVERY 64
#define MOST_LINES 20 /* about wrong blocks and errors, of a lane */
#define UNKNOWN UINT64_MAX /* the number of a block after a failed write */
#define WORDS 4       /* of the stamp that a block repeats: magic, lane, place, number */

struct lane {
    pthread_t thread;
    const char *path;
    int file, index, lines;
    long block_size, blocks, rate;
    off_t start, stride;
    uint64_t *buffer, *last; /* last: the number that each block was written with */
    volatile uint64_t found, writes, wrong, errors;
    volatile double longest;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Blocks 1 and later; block 0 is the note. */
static long place(const struct lane *lane, uint64_t number)
{
    uint64_t mixed = (number + (uint64_t)lane->index * 1000003) * 0x9e3779b97f4a7c15ull;
    return 1 + (long)((mixed >> 33) % (uint64_t)(lane->blocks - 1));
}

static void complain(struct lane *lane, const char *what, long block, uint64_t want, uint64_t got)
{
    if (lane->lines++ < MOST_LINES)
        printf("%s %s lane %d block %ld: wanted %lu, got %lu\n", what, lane->path, lane->index,
               block, want, got);
}

/* One request; 0 if it succeeded. */
static int request(struct lane *lane, int writing, long block)
{
    off_t at = lane->start + lane->stride * block;
    double begin = now();
    ssize_t done = writing ? pwrite(lane->file, lane->buffer, lane->block_size, at)
                           : pread(lane->file, lane->buffer, lane->block_size, at);
    int error = errno;
    double took = now() - begin;
    if (took > lane->longest)
        lane->longest = took;
    if (done == lane->block_size)
        return 0;
    lane->errors++;
    complain(lane, writing ? "write error" : "read error", block, 0, done < 0 ? error : 0);
    return -1;
}

static int write_block(struct lane *lane, long block, uint64_t number)
{
    for (long word = 0; word < lane->block_size / 8; word += WORDS) {
        lane->buffer[word] = MAGIC;
        lane->buffer[word + 1] = lane->index;
        lane->buffer[word + 2] = block;
        lane->buffer[word + 3] = number;
    }
    return request(lane, 1, block);
}

/* Reads a block and returns its number, 0 for one of zeros; -1 after an error. */
static int read_block(struct lane *lane, long block, uint64_t *number)
{
    if (request(lane, 0, block))
        return -1;
    *number = lane->buffer[3];
    int zeros = lane->buffer[0] == 0;
    for (long word = 0; word < lane->block_size / 8; word += WORDS) {
        const uint64_t *stamp = lane->buffer + word;
        int right = zeros ? !(stamp[0] | stamp[1] | stamp[2] | stamp[3])
                          : stamp[0] == MAGIC && stamp[1] == (uint64_t)lane->index &&
                                stamp[2] == (uint64_t)block && stamp[3] == *number;
        if (!right) {
            lane->wrong++;
            complain(lane, "mixed block", block, *number, stamp[3]);
            return -1;
        }
    }
    return 0;
}

/* Looks at all that an earlier run wrote; the next number to write. */
static uint64_t look_back(struct lane *lane)
{
    uint64_t noted = 0, highest = 0, got;
    if (read_block(lane, 0, &noted) || noted == 0) {
        write_block(lane, 0, 1);
        return 1;
    }
    lane->found = noted - 1;
    for (uint64_t number = 1; number < noted; number++)
        lane->last[place(lane, number)] = number;
    for (long block = 1; block < lane->blocks; block++) {
        if (read_block(lane, block, &got))
            continue;
        if (got < lane->last[block] || (got && place(lane, got) != block)) {
            lane->wrong++;
            complain(lane, "wrong block", block, lane->last[block], got);
        }
        lane->last[block] = got;
        if (got > highest)
            highest = got;
    }
    return highest >= noted ? highest + 1 : noted;
}

static void *use(void *argument)
{
    struct lane *lane = argument;
    uint64_t number = look_back(lane), got;
    double next = now();
    for (;; number++) {
        long block = place(lane, number);
        uint64_t want = lane->last[block];
        if (!read_block(lane, block, &got) && got != want && want != UNKNOWN) {
            lane->wrong++;
            complain(lane, "wrong block", block, want, got);
        }
        lane->last[block] = write_block(lane, block, number) ? UNKNOWN : number;
        lane->writes++;
        if (number % NOTE_EVERY == 0)
            write_block(lane, 0, number + 1);
        if (lane->rate) {
            next += 1.0 / lane->rate;
            double ahead = next - now();
            if (ahead > 0)
                usleep((useconds_t)(ahead * 1e6));
            else
                next = now();
        }
    }
    return NULL;
}

static void prepare(struct lane *lane, const char *path, int index, int lanes)
{
    uint64_t size;
    lane->path = path;
    lane->index = index;
    lane->block_size = parameter("BLOCK", 4096);
    lane->rate = parameter("WRITES", 100);
    lane->rate = lane->rate ? (lane->rate + lanes - 1) / lanes : 0;
    lane->file = open(path, O_RDWR | O_DIRECT);
    if (lane->file < 0 || ioctl(lane->file, BLKGETSIZE64, &size)) {
        printf("guest failed: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    off_t part = (off_t)(size / lanes) / lane->block_size * lane->block_size;
    lane->blocks = part / lane->block_size;
    if (lane->blocks > MOST_BLOCKS)
        lane->blocks = MOST_BLOCKS;
    lane->start = part * index;
    lane->stride = part / lane->blocks / lane->block_size * lane->block_size;
    lane->last = calloc(lane->blocks, sizeof *lane->last);
    if (!lane->last || posix_memalign((void **)&lane->buffer, 4096, lane->block_size)) {
        printf("guest failed: not enough memory\n");
        exit(1);
    }
}

static void report(const struct lane *lanes, int count, double seconds)
{
    uint64_t found = 0, writes = 0, wrong = 0, errors = 0;
    double longest = 0;
    for (int each = 0; each < count; each++) {
        found += lanes[each].found;
        writes += lanes[each].writes;
        wrong += lanes[each].wrong;
        errors += lanes[each].errors;
        if (lanes[each].longest > longest)
            longest = lanes[each].longest;
    }
    printf("disk %s seconds=%.0f found=%lu writes=%lu wrong=%lu errors=%lu longest=%.3f\n",
           lanes->path, seconds, found, writes, wrong, errors, longest);
}

void use_disks(const char *const *paths, int count)
{
    static struct lane lanes[MOST_DISKS][MOST_LANES];
    int each = (int)parameter("LANES", 2);
    if (each < 1 || each > MOST_LANES)
        each = 2;
    for (int disk = 0; disk < count; disk++)
        for (int lane = 0; lane < each; lane++)
            prepare(&lanes[disk][lane], paths[disk], lane, each);
    for (int disk = 0; disk < count; disk++)
        for (int lane = 0; lane < each; lane++)
            pthread_create(&lanes[disk][lane].thread, NULL, use, &lanes[disk][lane]);
    for (double begin = now();;) {
        sleep(1);
        for (int disk = 0; disk < count; disk++)
            report(lanes[disk], each, now() - begin);
    }
}
