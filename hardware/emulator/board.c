/* The emulated board: an Arduino Uno with pumps, lamp, stirrer, stop switch and color sensors, on libsimavr.
 *
 * Usage: board FIRMWARE.elf [tcs34725] [as7341]. It ends when its input does.
 *
 * Every request is: u8 verb, u32 size, payload; every reply: u8 kind, u32 size, f64 time in µs, u32 number of edges, the edges
 * (f64 time in µs, f32 duty, u32 output), and what was asked for. All little endian.
 *
 *   request                                                          reply
 *   r   f64 µs, u8 until a byte came, bytes for the serial line      k  bytes from the serial line
 *   R   f64 µs of bootloader: an external reset                      k
 *   P   power off and on                                             k
 *   S   u8: the stop switch is open (1) or closed (0)                k
 *   H   the processor hangs with interrupts off                      k
 *   B   u8: SDA is free (0), held down (1), or held by a chip in the k
 *       middle of a byte, which lets go after nine clocks (2)
 *   A   u8: light whose peaks are too much for the AS7341's analog   k
 *       part, whatever its mean, shines (1) or not (0)
 *   O   f64: how much slower than nominal the sensors' clocks are    k
 *   e   what the EEPROM holds                                        k  1024 bytes
 *   E   1024 bytes for the EEPROM                                    k
 *
 * In the middle of `r` a sensor may need light: kind `l` with u32 sensor, gain, atime, astep, f64 duty of the lamp; the answer is
 * the bare counts, u32 each. Kind `x` is the last reply: a sentence that says why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sim_avr.h>
#include <sim_elf.h>
#include <sim_io.h>
#include <avr_eeprom.h>
#include <avr_extint.h>
#include <avr_ioport.h>
#include <avr_timer.h>
#include <avr_twi.h>
#include <avr_uart.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the messages are little endian as they lie in memory"
#endif

#define CYCLES_PER_US 16.0
#define QUIET 3200           /* cycles: simavr leaves 1500 between two bytes of one line at 115200 */
#define EEPROM_SIZE 1024
#define RAM_START 0x100

static avr_t *avr;
static double now_us(void) { return (double)avr->cycle / CYCLES_PER_US; }

/* ---- messages ------------------------------------------------------------------------------------------------------ */

typedef struct { uint8_t *bytes; size_t size, room; } heap_t;

static void add(heap_t *h, const void *bytes, size_t size) {
  if (h->size + size > h->room) {
    h->room = 2 * (h->size + size);
    h->bytes = realloc(h->bytes, h->room);
    if (!h->bytes) exit(3);
  }
  if (size) memcpy(h->bytes + h->size, bytes, size);
  h->size += size;
}

static int to_host;
static heap_t edges, sent;

static void take(void *bytes, size_t size) {
  for (uint8_t *p = bytes; size;) {
    ssize_t n = read(0, p, size);
    if (n <= 0) exit(0);
    p += n;
    size -= (size_t)n;
  }
}

typedef struct __attribute__((packed)) { double at; float duty; uint32_t output; } edge_t;

static void reply(char kind, const void *bytes, size_t size) {
  static heap_t message;
  double at = avr ? now_us() : 0;
  uint32_t n = (uint32_t)(edges.size / sizeof(edge_t)), length = (uint32_t)(sizeof at + sizeof n + edges.size + size);
  message.size = 0;
  add(&message, &kind, 1);
  add(&message, &length, sizeof length);
  add(&message, &at, sizeof at);
  add(&message, &n, sizeof n);
  add(&message, edges.bytes, edges.size);
  add(&message, bytes, size);
  edges.size = 0;
  for (size_t done = 0; done < message.size;) {
    ssize_t w = write(to_host, message.bytes + done, message.size - done);
    if (w <= 0) exit(0);
    done += (size_t)w;
  }
}

static void die(const char *why) {
  reply('x', why, strlen(why));
  exit(2);
}

/* ---- our own timers: a reset of the chip forgets simavr's, and the world outside does not stop ----------------------- */

typedef struct { void (*act)(void); avr_cycle_count_t due; } event_t;

static avr_cycle_count_t fire(avr_t *a, avr_cycle_count_t when, void *event) {
  (void)a;
  (void)when;
  ((event_t *)event)->due = 0;
  ((event_t *)event)->act();
  return 0;
}
static void plan(event_t *e, avr_cycle_count_t after) {
  e->due = avr->cycle + after;
  avr_cycle_timer_register(avr, after ? after : 1, fire, e);
}
static void drop(event_t *e) {
  if (e->due) avr_cycle_timer_cancel(avr, fire, e);
  e->due = 0;
}
static void replan(event_t *e) {
  if (e->due) plan(e, e->due > avr->cycle ? e->due - avr->cycle : 1);
}

/* ---- outputs --------------------------------------------------------------------------------------------------------- */

/* Register addresses: ATmega328P data sheet (DS40002061B), section 30. */
enum { PINB = 0x23, DDRB, PORTB, PINC, DDRC, PORTC, PIND, DDRD, PORTD, TCCR0A = 0x44, OCR0A = 0x47, OCR0B, MCUSR = 0x54,
       TCCR1A = 0x80, TCCR1B, OCR1AL = 0x88, OCR1BL = 0x8A, TCCR2A = 0xB0, OCR2A = 0xB3, OCR2B, TWSR = 0xB9, TWCR = 0xBC, UCSR0A = 0xC0,
       UBRR0L = 0xC4, UBRR0H };
enum { LAMP = 6, N_OUTPUTS = 8 };
static const struct { uint16_t ddr, port; uint8_t bit; uint16_t tccra; uint8_t com; uint16_t ocr; } OUTPUT[N_OUTPUTS] = {
  {DDRD, PORTD, 5, TCCR0A, 4, OCR0B},   /* pump 0, D5 */
  {DDRD, PORTD, 6, TCCR0A, 6, OCR0A},   /* pump 1, D6 */
  {DDRB, PORTB, 1, TCCR1A, 6, OCR1AL},  /* pump 2, D9 */
  {DDRB, PORTB, 2, TCCR1A, 4, OCR1BL},  /* pump 3, D10 */
  {DDRB, PORTB, 3, TCCR2A, 6, OCR2A},   /* pump 4 (drain), D11 */
  {DDRD, PORTD, 3, TCCR2A, 4, OCR2B},   /* stirrer, D3 */
  {DDRD, PORTD, 7, 0, 0, 0},            /* lamp, D7 */
  {DDRB, PORTB, 5, 0, 0, 0},            /* status, D13 */
};
static const uint16_t WATCHED[] = {PINB, DDRB, PORTB, PIND, DDRD, PORTD, TCCR0A, OCR0A, OCR0B, TCCR1A, TCCR1B, OCR1AL, OCR1BL, TCCR2A,
                                   OCR2A, OCR2B};
static float duty[N_OUTPUTS];

/* The mean of fast PWM is (OCR + 1) / 256, of phase-correct PWM OCR / 255 (data sheet, sections 14.7.3 and 14.7.4). */
static float duty_of(int i) {
  if (!(avr->data[OUTPUT[i].ddr] >> OUTPUT[i].bit & 1)) return 0; /* an input: the gate's resistor pulls it down */
  uint8_t control = OUTPUT[i].tccra ? avr->data[OUTPUT[i].tccra] : 0, com = control >> OUTPUT[i].com & 3;
  if (com < 2) return avr->data[OUTPUT[i].port] >> OUTPUT[i].bit & 1;
  int is_fast = OUTPUT[i].tccra == TCCR1A ? avr->data[TCCR1B] >> 3 & 1 : control >> 1 & 1;
  float mean = is_fast ? (float)(avr->data[OUTPUT[i].ocr] + 1) / 256 : (float)avr->data[OUTPUT[i].ocr] / 255;
  return com == 3 ? 1 - mean : mean;
}
static void look(void) {
  for (uint32_t i = 0; i < N_OUTPUTS; i++) {
    float d = duty_of((int)i);
    if (d == duty[i]) continue;
    duty[i] = d;
    edge_t e = {now_us(), d, i};
    add(&edges, &e, sizeof e);
  }
}
static void look_on_access(avr_irq_t *irq, uint32_t value, void *param) {
  (void)irq;
  (void)value;
  (void)param;
  look();
}

/* ---- inputs ---------------------------------------------------------------------------------------------------------- */

enum { STOP_SWITCH = 1 << 2, SDA = 1 << 4, SCL = 1 << 5 };
static uint8_t stop_is_open, sda_is_held, clocks_left;

/* simavr drops a level equal to the last one, and a reset clears PINx: `afresh` says the level again all the same. */
static void drive(char port, uint8_t mask, uint8_t level, int afresh) {
  avr_ioport_external_t outside = {.name = (unsigned char)port, .mask = mask, .value = level};
  avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(port), &outside);
  for (int bit = 0; bit < 8; bit++) {
    if (!(mask >> bit & 1)) continue;
    avr_irq_t *pin = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(port), bit);
    if (afresh) pin->value = !(level >> bit & 1);
    avr_raise_irq(pin, level >> bit & 1);
  }
}
static void drive_all(int afresh) {
  drive('D', STOP_SWITCH, stop_is_open ? STOP_SWITCH : 0, afresh);
  drive('C', SDA | SCL, sda_is_held ? SCL : SDA | SCL, afresh);
}

/* ---- serial line: bytes come no faster than the line carries them ------------------------------------------------------ */

static heap_t waiting;
static size_t fed;
static avr_irq_t *serial_in;
static int is_hung, wants_byte, is_over;

static void feed(void);
static void hush(void) { is_over = 1; }
static event_t feeding = {feed, 0}, hushed = {hush, 0};

static void feed(void) {
  if (!is_hung) avr_raise_irq(serial_in, waiting.bytes[fed]); /* a hung chip keeps two bytes and loses them at its reset */
  if (++fed == waiting.size) {
    fed = waiting.size = 0;
    return;
  }
  /* simavr counts a parity bit with every byte: 11 bits; a byte fed earlier hangs its queue. */
  uint32_t divider = (uint32_t)(avr->data[UBRR0L] | (avr->data[UBRR0H] & 15) << 8) + 1;
  plan(&feeding, 11 * divider * (avr->data[UCSR0A] & 2 ? 8 : 16) + 16);
}
static void hear(avr_irq_t *irq, uint32_t value, void *param) {
  (void)irq;
  (void)param;
  uint8_t byte = (uint8_t)value;
  add(&sent, &byte, 1);
  if (wants_byte) plan(&hushed, QUIET);
}

/* ---- I2C ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  uint8_t address;
  void (*start)(uint8_t first);
  void (*write)(uint8_t where, uint8_t value);
  uint8_t (*read)(uint8_t where);
  uint8_t is_present, is_selected, is_first, pointer, step;
  uint8_t reg[256];
} chip_t;

enum { TCS34725, AS7341, N_CHIPS };
static chip_t chips[N_CHIPS];

static void expose(uint32_t sensor, uint32_t gain, uint32_t atime, uint32_t astep, uint32_t *counts, int n) {
  struct __attribute__((packed)) { uint32_t sensor, gain, atime, astep; double lamp; } ask = {sensor, gain, atime, astep, duty[LAMP]};
  reply('l', &ask, sizeof ask);
  take(counts, (size_t)n * sizeof *counts);
}

static double slowness = 1; /* of the sensors' own clocks, against the typical figures of their data sheets */
static avr_cycle_count_t sensor_cycles(double us) { return (avr_cycle_count_t)(us * slowness * CYCLES_PER_US); }

/* TCS34725 (ams data sheet TCS3472, "Register Description"): a command byte with bit 7 set, type in bits 6:5 (01: the address counts
 * up), address in bits 4:0. "A minimum interval of 2.4 ms must pass after PON is asserted before an RGBC can be initiated": what happens
 * otherwise is not said, and here nothing does. Enabled (PON and AEN) it starts after 2.4 ms and integrates (256 - ATIME) * 2.4 ms again
 * and again. Nothing is said to take AVALID or the counts back but power: they are those of the last integration that ended. */
static const double TCS_START = 2400;
static uint8_t tcs_high;
static avr_cycle_count_t tcs_powered;
static void tcs_integrated(void);
static event_t tcs_end = {tcs_integrated, 0};
static avr_cycle_count_t tcs_cycles(void) { return sensor_cycles((256 - chips[TCS34725].reg[0x01]) * 2400.0); }

static void tcs_integrated(void) {
  uint8_t *reg = chips[TCS34725].reg;
  uint32_t counts[4], full = (256u - reg[0x01]) * 1024;
  if (full > 65535) full = 65535;
  expose(TCS34725, reg[0x0F] & 3, reg[0x01], 0, counts, 4);
  for (int i = 0; i < 4; i++) {
    if (counts[i] > full) counts[i] = full;
    reg[0x14 + 2 * i] = (uint8_t)counts[i];
    reg[0x15 + 2 * i] = (uint8_t)(counts[i] >> 8);
  }
  reg[0x13] |= 1;
  plan(&tcs_end, tcs_cycles());
}
static void tcs_power_up(void) {
  uint8_t *reg = chips[TCS34725].reg;
  memset(reg, 0, 256);
  reg[0x01] = reg[0x03] = 0xFF;
  reg[0x12] = 0x44;
  drop(&tcs_end);
}
static void tcs_start(uint8_t command) {
  if (!(command & 0x80)) return;
  chips[TCS34725].pointer = command & 0x1F;
  chips[TCS34725].step = (command & 0x60) == 0x20;
}
static void tcs_write(uint8_t where, uint8_t value) {
  uint8_t *reg = chips[TCS34725].reg, before = reg[0x00];
  if (where > 0x0F) return;
  reg[where] = value;
  if (where != 0 || (before & 3) == (value & 3)) return;
  drop(&tcs_end);
  if (!(before & 1)) tcs_powered = avr->cycle;
  if ((value & 3) == 3 && avr->cycle - tcs_powered >= sensor_cycles(TCS_START)) plan(&tcs_end, sensor_cycles(TCS_START) + tcs_cycles());
}
static uint8_t tcs_read(uint8_t where) {
  uint8_t *reg = chips[TCS34725].reg;
  where &= 0x1F;
  if (where >= 0x14 && where <= 0x1B) {
    if (where & 1) return tcs_high; /* reading a low byte keeps its high byte for the next read */
    tcs_high = reg[where + 1];
  }
  return reg[where];
}

/* AS7341 (ams data sheet DS000504, "Register Description"; the photodiodes' places in the SMUX chain: ams application note
 * AN000666). The first byte is an address that counts up. SMUX: the 20 bytes at 0x00..0x13 are 40 photodiode places of 4 bits,
 * each 0 (off) or 1..6 (ADC 0..5); a diode's two halves, left and right in the array, have a place each.
 * STATUS2 tells of the last integration that ended; that a new one takes AVALID back is not said, and here it does not. Saturation is
 * digital (a counter is full) or analog (the light was at some moment more than the integrator takes, whatever the counts say);
 * ASTATUS has one bit for both. */
enum { F1, F2, F3, F4, F5, F6, F7, F8, CLEAR, NIR, N_DIODES };
static const struct { uint8_t where, shift, diode; } PLACE[] = {
  {0x00, 4, F3}, {0x01, 0, F1}, {0x03, 4, F8}, {0x04, 0, F6}, {0x05, 0, F2}, {0x05, 4, F4}, {0x06, 4, F5}, {0x07, 0, F7},
  {0x08, 4, CLEAR}, {0x09, 4, F5}, {0x0A, 0, F7}, {0x0C, 4, F2}, {0x0D, 0, F4}, {0x0E, 0, F8}, {0x0E, 4, F6}, {0x0F, 4, F3},
  {0x10, 0, F1}, {0x11, 4, CLEAR}, {0x13, 0, NIR}};
enum { ENABLE = 0x80, ATIME, WHOAMI = 0x92, ASTATUS = 0x94, CH0 = 0x95, STATUS2 = 0xA3, CFG0 = 0xA9, CFG1 = 0xAA, CFG6 = 0xAF,
       ASTEP_L = 0xCA, ASTEP_H, PON = 1, SP_EN = 2, SMUXEN = 16, REG_BANK = 16, AVALID = 64, ASAT_DIGITAL = 16, ASAT_ANALOG = 8, ASAT = 128 };
static uint8_t smux[20], adc[13], is_glaring;
static void as_integrated(void);
static void as_connected(void);
static event_t as_end = {as_integrated, 0}, as_smux = {as_connected, 0};

static uint32_t as_astep(void) { return chips[AS7341].reg[ASTEP_L] | (uint32_t)chips[AS7341].reg[ASTEP_H] << 8; }
static uint32_t as_steps(void) { return (chips[AS7341].reg[ATIME] + 1u) * (as_astep() + 1u); }
static avr_cycle_count_t as_cycles(void) { return sensor_cycles(as_steps() * 2.78); }

static void as_integrated(void) {
  uint8_t *reg = chips[AS7341].reg;
  uint32_t counts[N_DIODES], full = as_steps() > 65535 ? 65535 : as_steps();
  double sum[6] = {0};
  expose(AS7341, reg[CFG1] & 31, reg[ATIME], as_astep(), counts, N_DIODES);
  for (size_t i = 0; i < sizeof PLACE / sizeof *PLACE; i++) {
    uint8_t to = smux[PLACE[i].where] >> PLACE[i].shift & 7;
    if (to >= 1 && to <= 6) sum[to - 1] += counts[PLACE[i].diode] / (PLACE[i].diode == NIR ? 1.0 : 2.0);
  }
  adc[0] = (reg[CFG1] & 15) | (is_glaring ? ASAT : 0);
  reg[STATUS2] = AVALID | (is_glaring ? ASAT_ANALOG : 0);
  for (int i = 0; i < 6; i++) {
    uint32_t n = (uint32_t)(sum[i] + 0.5);
    if (n >= full) {
      n = full;
      adc[0] |= ASAT;
      reg[STATUS2] |= ASAT_DIGITAL;
    }
    adc[1 + 2 * i] = (uint8_t)n;
    adc[2 + 2 * i] = (uint8_t)(n >> 8);
  }
  plan(&as_end, as_cycles());
}
static void as_connected(void) {
  uint8_t *reg = chips[AS7341].reg;
  reg[ENABLE] &= (uint8_t)~SMUXEN;
  if ((reg[CFG6] >> 3 & 3) == 2) memcpy(smux, reg, sizeof smux);
}
static void as_power_up(void) {
  uint8_t *reg = chips[AS7341].reg;
  memset(reg, 0, 256);
  memset(smux, 0, sizeof smux);
  memset(adc, 0, sizeof adc);
  reg[WHOAMI] = 0x24;
  reg[CFG1] = 9;
  reg[CFG6] = 0x10;
  reg[ASTEP_L] = 0xE7;
  reg[ASTEP_H] = 0x03;
  drop(&as_end);
  drop(&as_smux);
}
static void as_start(uint8_t address) {
  chips[AS7341].pointer = address;
  chips[AS7341].step = 1;
}
static int as_is_hidden(uint8_t where) { return where >= 0x60 && where <= 0x74 && !(chips[AS7341].reg[CFG0] & REG_BANK); }
static void as_write(uint8_t where, uint8_t value) {
  uint8_t *reg = chips[AS7341].reg, before = reg[ENABLE];
  if (as_is_hidden(where) || (where >= 0x90 && where <= 0xA7)) return;
  reg[where] = value;
  if (where != ENABLE) return;
  int was_on = (before & 3) == (PON | SP_EN), is_on = (value & 3) == (PON | SP_EN);
  if (was_on != is_on) {
    drop(&as_end);
    if (is_on) plan(&as_end, as_cycles());
  }
  /* The data sheet gives no time for the SMUX command; drivers wait for the bit to clear itself. */
  if ((value & PON) && (value & SMUXEN) && !(before & SMUXEN)) plan(&as_smux, sensor_cycles(200));
}
static uint8_t as_read(uint8_t where) {
  uint8_t *reg = chips[AS7341].reg;
  if (as_is_hidden(where)) return 0;
  if (where == ASTATUS) memcpy(reg + ASTATUS, adc, sizeof adc); /* reading ASTATUS latches the 12 bytes of data */
  return reg[where];
}

static chip_t chips[N_CHIPS] = {
  [TCS34725] = {.address = 0x29, .start = tcs_start, .write = tcs_write, .read = tcs_read},
  [AS7341] = {.address = 0x39, .start = as_start, .write = as_write, .read = as_read},
};

static avr_irq_t *bus; /* 0: to the chip, 1: from it */
static void answer(uint8_t what, uint8_t address, uint8_t byte) { avr_raise_irq(bus, avr_twi_irq_msg(what, address, byte)); }

/* simavr 1.6 reports an address that nobody answers as a byte that nobody took. */
enum { NO_ANSWER_TO_ADDRESS = 0x20, NO_ANSWER_TO_BYTE = 0x30 };
static int is_unanswered;
static void on_status(avr_irq_t *irq, uint32_t value, void *param) {
  (void)irq;
  (void)param;
  if (is_unanswered && value == NO_ANSWER_TO_BYTE) avr->data[TWSR] = (avr->data[TWSR] & 7) | NO_ANSWER_TO_ADDRESS;
}

static void on_bus(avr_irq_t *irq, uint32_t value, void *param) {
  (void)irq;
  (void)param;
  avr_twi_msg_irq_t m = {.u.v = value};
  if (m.u.twi.msg & TWI_COND_START) is_unanswered = 1;
  for (chip_t *c = chips; c < chips + N_CHIPS; c++) {
    if (m.u.twi.msg & (TWI_COND_START | TWI_COND_STOP)) c->is_selected = 0;
    if ((m.u.twi.msg & TWI_COND_START) && c->is_present && m.u.twi.addr >> 1 == c->address) {
      c->is_selected = c->is_first = 1;
      is_unanswered = 0;
      answer(TWI_COND_ACK, m.u.twi.addr, 1);
    }
    if (!c->is_selected) continue;
    if (m.u.twi.msg & TWI_COND_WRITE) {
      answer(TWI_COND_ACK, m.u.twi.addr, 1);
      if (c->is_first) {
        c->is_first = 0;
        c->start(m.u.twi.data);
      } else {
        c->write(c->pointer, m.u.twi.data);
        c->pointer += c->step;
      }
    }
    if (m.u.twi.msg & TWI_COND_READ) {
      answer(TWI_COND_READ, m.u.twi.addr, c->read(c->pointer));
      c->pointer += c->step;
    }
  }
}

/* While something holds SDA down, no start, stop or byte gets through, and the interrupt that tells of it never comes. */
enum { TWINT = 128, TWSTA = 32, TWSTO = 16, TWEN = 4 };
static avr_io_write_t twcr_write;
static void *twcr_param;
static uint8_t held_back;

static void write_twcr(avr_t *a, avr_io_addr_t where, uint8_t value, void *param) {
  (void)param;
  held_back = 0;
  if (sda_is_held && (value & TWEN) && (value & (TWINT | TWSTA | TWSTO))) {
    held_back = value;
    a->data[TWCR] = value & (uint8_t)~TWINT;
  } else {
    twcr_write(a, where, value, twcr_param);
  }
}
static void hold_bus(uint8_t how) {
  sda_is_held = how != 0;
  clocks_left = how == 2 ? 9 : 0;
  drive_all(0);
  if (how || !held_back) return;
  uint8_t value = held_back;
  held_back = 0;
  avr->data[TWCR] = value & (uint8_t)~(TWSTA | TWSTO); /* simavr acts on the change of these bits */
  twcr_write(avr, TWCR, value, twcr_param);
}

/* A chip that was left in the middle of a byte holds SDA until it has got the clocks that it still waits for, eight bits and an answer
 * at most (I2C specification UM10204, section 3.1.16). They come from the pin itself: the two-wire unit sends none on such a bus. */
static void watch_clock(avr_irq_t *irq, uint32_t value, void *param) {
  static uint8_t was_high = 1;
  (void)irq;
  (void)value;
  (void)param;
  uint8_t is_output = avr->data[DDRC] & SCL, is_high = (avr->data[TWCR] & TWEN) || !is_output || (avr->data[PORTC] & SCL);
  if (is_high && !was_high && clocks_left && --clocks_left == 0) hold_bus(0);
  was_high = is_high;
}

/* ---- the chip -------------------------------------------------------------------------------------------------------- */

enum { POWER_ON = 1, EXTERNAL = 2 };
static void do_nothing(void) {}
static event_t end = {do_nothing, 0}, bootloader = {do_nothing, 0};
static event_t *const EVENTS[] = {&end, &bootloader, &feeding, &hushed, &tcs_end, &as_end, &as_smux};

static void (*core_reset)(avr_t *);
static avr_run_t run_as_usual;
static int was_reset;

static void on_reset(avr_t *a) {
  if (core_reset) core_reset(a);
  was_reset = 1;
}
static void sleep_no_real_time(avr_t *a, avr_cycle_count_t cycles) {
  (void)a;
  (void)cycles;
}
static void be_silent(avr_t *a, const int level, const char *format, va_list arguments) {
  (void)a;
  (void)level;
  (void)format;
  (void)arguments;
}

/* What simavr's reset leaves undone. */
static void settle(void) {
  was_reset = is_hung = 0;
  held_back = 0;
  for (int i = 0; i < N_CHIPS; i++) chips[i].is_selected = 0;
  /* At one go until the next of simavr's timers is due, and not one instruction: the same to the cycle in half of the time. */
  avr->run_cycle_limit = 0xFFFFFFFF;
  /* Or else simavr looks at D2 and D3 in every cycle while they are low. Edges still interrupt; a lasting low level does so once. */
  for (uint8_t i = 0; i < 2; i++) avr_extint_set_strict_lvl_trig(avr, i, 0);
  for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++) replan(EVENTS[i]);
  drive_all(1);
  look();
}
static void reset(uint8_t cause) {
  avr_reset(avr);
  avr->run = run_as_usual; /* a watchdog's reset that was under way is overtaken */
  avr->data[MCUSR] = cause;
  settle();
}
static void power_cycle(void) {
  static uint32_t random = 1; /* what memory holds when power comes; a definite garbage, so that runs are repeatable */
  for (uint32_t i = RAM_START; i <= avr->ramend; i++) {
    random = random * 1664525u + 1013904223u;
    avr->data[i] = (uint8_t)(random >> 24);
  }
  waiting.size = fed = 0;
  drop(&feeding);
  drop(&bootloader);
  tcs_power_up();
  as_power_up();
  reset(POWER_ON);
}

static void step(void) {
  if (is_hung || bootloader.due) {
    /* No instruction is carried out, but time, the watchdog and the world go on. */
    avr_cycle_count_t until = avr_cycle_timer_process(avr);
    if (avr->run == run_as_usual) {
      if ((is_hung || bootloader.due) && !is_over) avr->cycle += until ? until : 1;
      return;
    }
  }
  int state = avr_run(avr);
  if (was_reset) settle();
  if (state == cpu_Done) die("the firmware sleeps with interrupts off");
  if (state == cpu_Crashed) die("the firmware did what the processor cannot do");
}

static void run(double us, int until_byte) {
  avr_cycle_count_t cycles = (avr_cycle_count_t)(us * CYCLES_PER_US + 0.5);
  if (us > 0 && cycles == 0) cycles = 1; /* whoever runs until a certain time gets there */
  avr_cycle_count_t last = avr->cycle + cycles;
  is_over = 0;
  wants_byte = until_byte;
  if (cycles) plan(&end, cycles);
  while (!is_over && avr->cycle < last) step();
  drop(&end);
  drop(&hushed);
}

static uint8_t *eeprom(void) {
  /* Asking for one byte without a place to put it gives simavr's own memory; asking for all is refused by some versions. */
  avr_eeprom_desc_t all = {.ee = NULL, .offset = 0, .size = 1};
  avr_ioctl(avr, AVR_IOCTL_EEPROM_GET, &all); /* its result says nothing */
  if (!all.ee) die("simavr has no EEPROM for this chip");
  return all.ee;
}

static void start(const char *elf) {
  elf_firmware_t firmware;
  memset(&firmware, 0, sizeof firmware);
  if (elf_read_firmware(elf, &firmware)) die("simavr cannot read the firmware's file");
  avr_t *made = avr_make_mcu_by_name("atmega328p");
  if (!made) die("simavr does not know the ATmega328P");
  avr_init(made);
  avr = made;
  avr->frequency = firmware.frequency = (uint32_t)(CYCLES_PER_US * 1e6);
  avr_load_firmware(avr, &firmware);
  avr->sleep = sleep_no_real_time;
  run_as_usual = avr->run;

  /* simavr knows no phase-correct PWM, which the Arduino core sets on timers 1 and 2, and would serve them 250,000 times a second. We
   * read the duty from the registers, so all they need is about the right period: 512 ticks (510 on the chip). */
  for (avr_io_t *io = avr->io_port; io; io = io->next)
    if (strcmp(io->kind, "timer") == 0) ((avr_timer_t *)io)->wgm_op[1] = (avr_timer_wgm_t){.kind = avr_timer_wgm_normal, .size = 9};
  uint32_t flags = 0;
  avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
  flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  serial_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), hear, NULL);

  static const char *names[] = {"8>board.bus.in", "32<board.bus.out"};
  bus = avr_alloc_irq(&avr->irq_pool, 0, 2, names);
  avr_connect_irq(bus, avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_INPUT));
  avr_connect_irq(avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT), bus + 1);
  avr_irq_register_notify(bus + 1, on_bus, NULL);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_STATUS), on_status, NULL);
  twcr_write = avr->io[AVR_DATA_TO_IO(TWCR)].w.c;
  twcr_param = avr->io[AVR_DATA_TO_IO(TWCR)].w.param;
  avr->io[AVR_DATA_TO_IO(TWCR)].w.c = write_twcr;

  for (size_t i = 0; i < sizeof WATCHED / sizeof *WATCHED; i++)
    avr_irq_register_notify(avr_iomem_getirq(avr, WATCHED[i], NULL, AVR_IOMEM_IRQ_ALL), look_on_access, NULL);
  for (uint16_t where = DDRC; where <= PORTC; where++)
    avr_irq_register_notify(avr_iomem_getirq(avr, where, NULL, AVR_IOMEM_IRQ_ALL), watch_clock, NULL);
  core_reset = avr->reset;
  avr->reset = on_reset;
  power_cycle();
}

int main(int n, char **words) {
  /* What simavr prints must not get between the messages. */
  to_host = dup(1);
  if (to_host < 0 || dup2(2, 1) < 0) return 3;
  avr_global_logger_set(be_silent);
  if (n < 2) die("which firmware? Usage: board FIRMWARE.elf [tcs34725] [as7341]");
  for (int i = 2; i < n; i++) {
    if (strcmp(words[i], "tcs34725") == 0) chips[TCS34725].is_present = 1;
    else if (strcmp(words[i], "as7341") == 0) chips[AS7341].is_present = 1;
    else die("the board knows two sensors, tcs34725 and as7341");
  }
  start(words[1]);

  heap_t payload = {0};
  for (;;) {
    struct __attribute__((packed)) { char verb; uint32_t size; } request;
    take(&request, sizeof request);
    payload.size = 0;
    if (request.size > 1 << 20) die("a request of more than a megabyte");
    static uint8_t part[4096];
    for (uint32_t left = request.size; left;) {
      uint32_t some = left < sizeof part ? left : (uint32_t)sizeof part;
      take(part, some);
      add(&payload, part, some);
      left -= some;
    }
    const uint8_t *p = payload.bytes;
    double us = 0;
    if (payload.size >= sizeof us) memcpy(&us, p, sizeof us);
    sent.size = 0;
    switch (request.verb) {
      case 'r':
        if (payload.size < 9) die("a run without its length");
        if (payload.size > 9) {
          add(&waiting, p + 9, payload.size - 9);
          if (!feeding.due) plan(&feeding, 16);
        }
        run(us, p[8]);
        reply('k', sent.bytes, sent.size);
        break;
      case 'R':
        drop(&bootloader);
        if (us > 0) plan(&bootloader, (avr_cycle_count_t)(us * CYCLES_PER_US));
        reset(EXTERNAL);
        reply('k', NULL, 0);
        break;
      case 'P': power_cycle(); reply('k', NULL, 0); break;
      case 'S': stop_is_open = p[0]; drive_all(0); reply('k', NULL, 0); break;
      case 'H': is_hung = 1; reply('k', NULL, 0); break;
      case 'B': hold_bus(p[0]); reply('k', NULL, 0); break;
      case 'A': is_glaring = p[0]; reply('k', NULL, 0); break;
      case 'O': slowness = us; reply('k', NULL, 0); break;
      case 'e': reply('k', eeprom(), EEPROM_SIZE); break;
      case 'E':
        if (payload.size != EEPROM_SIZE) die("the EEPROM has 1024 bytes");
        memcpy(eeprom(), p, EEPROM_SIZE);
        reply('k', NULL, 0);
        break;
      default: die("a request that the board does not know");
    }
  }
}
