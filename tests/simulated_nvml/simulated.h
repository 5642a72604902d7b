/* What every simulated function begins with, shared by the files that implement them. */
#ifndef SIMULATED_NVML_SIMULATED_H
#define SIMULATED_NVML_SIMULATED_H

#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control.h"

#define GIB (1024ULL * 1024 * 1024)

struct nvmlDevice_st {
    char unused; /* a device is known by its address */
};

/* What the device at this index is: see models.c. */
struct model {
    const char *word, *name;
    int links, pcie_generation;
    bool profiles;
    const char *const *lacks; /* functions and fields that are not supported, ended by NULL */
};

const struct model *model_of(int device);

int index_of(nvmlDevice_t device);

/* What a call does before it answers: costs time, hangs, fails. `rule` is left for its value. */
nvmlReturn_t enter(const char *function, int device, const struct rule **rule);

/* The same for a call with a choice: rules for `function:choice` go before those for `function`. */
nvmlReturn_t enter_choice(const char *function, long choice, int device, const struct rule **rule);

/* Counts the call, and remembers it where the control file says `log`. */
void note_call(const char *function, long choice, int device);

/* Counts what a call costs from its first line until it returns; a call within another is part of that. */
struct meter {
    bool runs;
    unsigned long long cpu_ns, wall_ns;
};
/* Notes how often the library is open, beside what its calls cost. */
void account_users(int references);

struct meter meter_start(void);
void meter_stop(struct meter *begun);

#define METER struct meter metered __attribute__((cleanup(meter_stop))) = meter_start();

#define ENTER(function, device)                                                                   \
    METER                                                                                         \
    const struct rule *rule;                                                                      \
    note_call(function, -1, device);                                                              \
    nvmlReturn_t entered = enter(function, device, &rule);                                        \
    if (entered != NVML_SUCCESS)                                                                  \
        return entered;

#define ENTER_CHOICE(function, choice, device)                                                    \
    METER                                                                                         \
    const struct rule *rule;                                                                      \
    note_call(function, choice, device);                                                          \
    nvmlReturn_t entered = enter_choice(function, choice, device, &rule);                         \
    if (entered != NVML_SUCCESS)                                                                  \
        return entered;

#define NUMBER(fallback) rule_number(rule, (double)(fallback))

/* Numbers as C converts them for an unsigned: -1 becomes all bits set, as the driver's own sentinel. */
unsigned int u32(double number);
unsigned long long u64(double number);

/* The rule's number, garbage where it says so, else the fallback. */
double rule_number(const struct rule *rule, double fallback);

nvmlReturn_t give_text(char *to, unsigned int size, const struct rule *rule, const char *text);

#endif
