// Firmware of the color mixer: Arduino Uno, Nano or Mega (16 MHz), five pumps, a color sensor, an LED, an emergency stop.
// Every byte on the wire is described in ../PROTOCOL.md; the two change together.
// Nothing here trusts the host: it may die in the middle of a dose, be unplugged, or talk through noise.
#include <Arduino.h>
#include <EEPROM.h>
#include <Wire.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/crc16.h>

#define NAME "frugaltwin,color-mixer,"
#define VERSION ",1"  // of the protocol
const uint8_t REVISION = 2;  // of what is behind it: see FW? in PROTOCOL.md

// ---- wiring ---------------------------------------------------------------------------------------------------------
const uint8_t N_PUMPS = 5, DRAIN_PUMP = 4;
const uint8_t PUMP_PIN[N_PUMPS] = {5, 6, 9, 10, 11};
const uint8_t STOP_PIN = 2;  // closed to ground while all is well: a broken wire stops too
const uint8_t STIRRER_PIN = 3, LED_PIN = 7, STATUS_PIN = 13;

// ---- limits ---------------------------------------------------------------------------------------------------------
const uint32_t LONGEST_RUN = 20000000;     // us: no pump runs longer, whatever is asked
const uint32_t LONGEST_MIX = 60000000;     // us
const uint32_t HOST_LOSS = 5000;           // ms without a valid line: whatever runs is stopped
const uint8_t PUMPS_AT_ONCE = 2;           // what the supply feeds
const int32_t LOOP_PASS = 100;             // us that a run may end late; what is later is told
const uint16_t LONGEST_INTEGRATION = 1000; // ms
const uint32_t SENSOR_GRACE = 500;         // ms beyond the integration
const uint32_t SENSOR_POWER_UP = 4;        // ms, of which the first may be short; the TCS34725 needs 2.4
const uint32_t BOUNCE = 5;                 // ms that the switch has to be open: motors make shorter spikes

enum Error : uint8_t { CHECKSUM = 1, SYNTAX, UNKNOWN, RANGE, BUSY, FULL, STOPPED, SENSOR, TOO_LONG, UNCALIBRATED, STALE, SUPPLY };
const char *const ERROR_TEXT[] = {"",        "checksum", "syntax",        "unknown word",   "out of range", "busy",         "cell full",
                                  "stopped", "sensor",   "line too long", "not calibrated", "stale",        "too many pumps"};

// ---- why nothing moves until CLEAR ----------------------------------------------------------------------------------
enum Cause : uint8_t { NONE, RESET, HOST, SWITCH, HOST_LOST };
static Cause stopped = RESET;
static uint8_t reset_flags;

// ---- calibration, kept in the EEPROM --------------------------------------------------------------------------------
struct Calibration {
  uint16_t magic;
  uint8_t version;
  uint16_t flow[N_PUMPS];   // uL/s
  int32_t dead[N_PUMPS];    // us that a pump runs before it delivers; negative: it delivers more than its time says
  uint16_t cell;            // uL
  char id[16];              // names the record in the host's store
  uint16_t crc;
};
const uint16_t MAGIC = 0x4654;
const uint8_t RECORD_VERSION = 1;
static Calibration calibration;
static bool calibrated;

static uint16_t crcOf(const void *from, uint16_t n) {
  uint16_t crc = 0;
  for (const uint8_t *p = (const uint8_t *)from; n--; p++) crc = _crc_xmodem_update(crc, *p);
  return crc;
}

static void loadCalibration() {
  EEPROM.get(0, calibration);
  calibrated = calibration.magic == MAGIC && calibration.version == RECORD_VERSION &&
               calibration.crc == crcOf(&calibration, sizeof calibration - 2);
  if (calibrated) return;
  memset(&calibration, 0, sizeof calibration);
  calibration.magic = MAGIC;
  calibration.version = RECORD_VERSION;
  calibration.cell = 8000;
  strcpy(calibration.id, "-");
}

static void saveCalibration() {
  calibration.crc = crcOf(&calibration, sizeof calibration - 2);
  EEPROM.put(0, calibration);
  calibrated = true;
}

static void forgetCalibration() {  // what is being changed is not to be dosed with
  calibrated = false;
  strcpy(calibration.id, "-");
}

// ---- what is said ---------------------------------------------------------------------------------------------------
static char out[112];
static uint8_t n_out;
static bool framed;       // whether the line being answered was
static bool is_framed_now;  // once a host frames its lines, bare ones are noise

static void put(char c) {
  if (n_out < sizeof out - 7) out[n_out++] = c;
}
static void put(const char *s) {
  while (*s) put(*s++);
}
static void putNumber(int32_t v) {
  char digits[12];
  ltoa(v, digits, 10);
  put(digits);
}
static void putField(int32_t v) {
  put(' ');
  putNumber(v);
}
static void putTenths(int32_t v) {
  put(' ');
  putNumber(v / 10);
  if (v % 10) {
    put('.');
    put('0' + v % 10);
  }
}
static void watchRuns();
static void send(const char *line, uint8_t n) {  // Serial.write of a whole line would wait for its room, with the pumps unwatched
  while (n--) {
    while (!Serial.availableForWrite()) watchRuns();
    Serial.write(*line++);
  }
}
static void endLine(bool with_checksum) {
  if (with_checksum) {
    static const char HEX_DIGIT[] = "0123456789ABCDEF";
    const uint16_t crc = crcOf(out, n_out);
    out[n_out++] = '*';
    for (int8_t shift = 12; shift >= 0; shift -= 4) out[n_out++] = HEX_DIGIT[crc >> shift & 15];
  }
  out[n_out++] = '\n';
  send(out, n_out);
}
static void say(const char *event) {
  n_out = 0;
  put('!');
  put(event);
  endLine(true);
}

// The answer to the last action, so that a request that comes twice is done once.
static uint16_t last_seq, last_crc;
static bool has_last, is_action;
static char last_out[sizeof out];
static uint8_t last_n;  // 0: still working on it

static void beginReply(uint16_t seq) {
  n_out = 0;
  if (framed) {
    putNumber(seq);
    put(' ');
  }
}
static void endReply() {
  endLine(framed);
  if (framed && is_action) {
    memcpy(last_out, out, n_out);
    last_n = n_out;
  }
}
static void refuse(Error e) {
  put("ERR ");
  putNumber(e);
  put(' ');
  put(ERROR_TEXT[e]);
  endReply();
}
static void ok() {
  put("OK");
  endReply();
}
static void refuseUnreadable(Error e) {
  const bool was_action = is_action;
  is_action = false;  // such an answer is never kept
  framed = true;
  beginReply(0);
  refuse(e);
  is_action = was_action;
}

// ---- what moves -----------------------------------------------------------------------------------------------------
struct Run {
  bool on;
  bool raw;          // PUMP: nobody knows how much it moves
  uint32_t since, lasts;  // us
  uint32_t tenths;   // of a uL, asked for
  uint16_t seq;
};
static Run pump[N_PUMPS], stirrer;
static int32_t cell;        // tenths of a uL that may be in the cell
static uint16_t done_seq;   // the last run, and what it moved
static int32_t done_asked, done_moved;
static uint32_t last_line;  // ms, when a host was last heard

static uint8_t nRunning() {
  uint8_t n = 0;
  for (uint8_t i = 0; i < N_PUMPS; i++) n += pump[i].on;
  return n;
}
static bool isMoving() { return stirrer.on || nRunning(); }

static int32_t movedBy(uint8_t i, uint32_t ran) {
  const int32_t beyond = ran - pump[i].lasts;
  if (beyond >= 0 && beyond < LOOP_PASS) return pump[i].tenths;
  const int32_t tenths = pump[i].tenths + (int32_t)((float)beyond * calibration.flow[i] * 1e-5f);
  return tenths < 0 ? 0 : tenths;
}

static void stopPump(uint8_t i, uint32_t now) {
  digitalWrite(PUMP_PIN[i], LOW);
  if (!pump[i].on) return;
  pump[i].on = false;
  if (pump[i].raw) {
    if (i != DRAIN_PUMP) cell = (int32_t)calibration.cell * 10;  // it may be full now
    return;
  }
  const int32_t moved = movedBy(i, now - pump[i].since);
  if (pump[i].seq == done_seq) done_moved = moved;  // else another began since, and it is the one to tell of
  if (i != DRAIN_PUMP) cell += moved;
  else cell = moved < cell ? cell - moved : 0;
}

static void stopAll(Cause cause) {
  const uint32_t now = micros();
  for (uint8_t i = 0; i < N_PUMPS; i++) stopPump(i, now);
  digitalWrite(STIRRER_PIN, LOW);
  digitalWrite(LED_PIN, LOW);
  stirrer.on = false;
  if (stopped != SWITCH) stopped = cause;  // who pressed the switch is not to be forgotten before somebody clears it
}

static void startPump(uint8_t i, uint16_t seq, uint32_t tenths, uint32_t lasts) {
  done_seq = seq;
  done_asked = tenths;
  done_moved = 0;
  pump[i] = {true, false, micros(), lasts, tenths, seq};
  digitalWrite(PUMP_PIN[i], HIGH);
}

static void watchRuns() {
  const uint32_t now = micros();
  for (uint8_t i = 0; i < N_PUMPS; i++)
    if (pump[i].on && now - pump[i].since >= pump[i].lasts) stopPump(i, now);
  if (stirrer.on && now - stirrer.since >= stirrer.lasts) {
    digitalWrite(STIRRER_PIN, LOW);
    stirrer.on = false;
  }
}

static bool endsSoon() {  // too soon to sleep (timer 0 wakes the chip every 1.024 ms only) or to answer a line
  const uint32_t now = micros();
  for (uint8_t i = 0; i < N_PUMPS; i++)
    if (pump[i].on && now - pump[i].since + 1500 >= pump[i].lasts) return true;
  return false;
}

// ---- the color sensor -----------------------------------------------------------------------------------------------
enum SensorKind : uint8_t { NO_SENSOR, TCS34725, AS7341 };
const char *const SENSOR_NAME[] = {"none", "tcs34725", "as7341"};
static SensorKind sensor;
static uint8_t address, gain, atime;
static uint16_t astep;

static void beginBus() {
  Wire.begin();
  Wire.setClock(100000);
  Wire.setWireTimeout(25000, true);
}
static bool writeRegister(uint8_t reg, uint8_t value) {
  Wire.beginTransmission(address);
  Wire.write(reg);
  Wire.write(value);
  return Wire.endTransmission() == 0;
}
static bool readRegisters(uint8_t reg, uint8_t *into, uint8_t n) {
  Wire.beginTransmission(address);
  Wire.write(reg);
  if (Wire.endTransmission() != 0 || Wire.requestFrom(address, n) != n) return false;
  while (n--) *into++ = Wire.read();
  return true;
}

// TCS34725 data sheet: command register 0x80, with auto-increment 0xA0; ENABLE 0x00 (bit 0 PON, 1 AEN, 2.4 ms later at the
// earliest), ATIME 0x01, CONTROL 0x0F, ID 0x12, STATUS 0x13 (bit 0: a cycle is complete, this one or an earlier), data from 0x14.
// AS7341 data sheet: ENABLE 0x80 (bit 0 PON, 1 SP_EN, 4 SMUXEN), ATIME 0x81, ID 0x92, ASTATUS 0x94 (bit 7: saturated), data from
// 0x95, STATUS2 0xA3 (bit 6 AVALID), CFG1 0xAA (gain), CFG6 0xAF (SMUX command 2 << 3: write), ASTEP 0xCA.
// Which photodiode goes to which of the six converters: AMS application note AS7341 SMUX configuration. F1 F2 F3 F4 clear
// NIR, then F5 F6 F7 F8 clear NIR.
const uint8_t SMUX[2][20] PROGMEM = {
    {0x30, 0x01, 0x00, 0x00, 0x00, 0x42, 0x00, 0x00, 0x50, 0x00, 0x00, 0x00, 0x20, 0x04, 0x00, 0x30, 0x01, 0x50, 0x00, 0x06},
    {0x00, 0x00, 0x00, 0x40, 0x02, 0x00, 0x10, 0x03, 0x50, 0x10, 0x03, 0x00, 0x00, 0x00, 0x24, 0x00, 0x00, 0x50, 0x00, 0x06}};

// A sensor that was left in the middle of a byte (the board was reset, say) holds SDA down until it has had its clocks, nine at most.
static void pull(uint8_t line, bool is_low) {  // as an open drain: the sensor's board pulls it up
  pinMode(line, is_low ? OUTPUT : INPUT);
  delayMicroseconds(5);
}
static void freeBus() {
  if (digitalRead(SDA) == HIGH) return;
  Wire.end();  // leaves both pins as inputs that would be low as outputs
  for (uint8_t clock = 0; clock < 9; clock++) {
    pull(SCL, true);
    pull(SCL, false);
  }
  const uint8_t stop[] = {SCL, SDA, SCL, SDA};
  for (uint8_t i = 0; i < sizeof stop; i++) pull(stop[i], i < 2);
  beginBus();
}

static bool findSensor() {
  uint8_t id;
  freeBus();
  sensor = NO_SENSOR;
  address = 0x29;
  if (readRegisters(0x92, &id, 1) && (id == 0x44 || id == 0x4D || id == 0x10)) {
    sensor = TCS34725;
    gain = 1;
    atime = 256 - 21;
    return true;
  }
  address = 0x39;
  if (readRegisters(0x92, &id, 1) && (id & 0xFC) == 0x24) {
    sensor = AS7341;
    gain = 7;
    atime = 29;
    astep = 599;
    return true;
  }
  return false;
}

static uint32_t integrationMs() {
  return sensor == TCS34725 ? (uint32_t)((256 - atime) * 2.4f + 3.4f)
                            : (uint32_t)((atime + 1.0f) * (astep + 1.0f) * 0.00278f + 1.0f);
}
// Until then "complete" may tell of the integration before. A sensor's own clock may be slow: 7 % is assumed.
static uint32_t longestIntegrationMs() { return integrationMs() + integrationMs() / 14 + 2; }

enum Stage : uint8_t { AT_REST, WIRING, INTEGRATING };
static Stage stage;
static uint8_t pass;
static uint16_t read_seq;
static bool read_framed;
static uint32_t stage_since;
static uint16_t counts[10];

static bool beginPass() {
  stage = WIRING;
  const bool is_powered = writeRegister(0x80, 0x01);
  stage_since = millis();
  if (!is_powered || sensor == TCS34725) return is_powered;
  if (!writeRegister(0xAF, 2 << 3)) return false;
  Wire.beginTransmission(address);
  Wire.write(0x00);
  for (uint8_t i = 0; i < 20; i++) Wire.write(pgm_read_byte(&SMUX[pass][i]));
  return Wire.endTransmission() == 0 && writeRegister(0x80, 0x11);
}

static bool startIntegration() {
  stage = INTEGRATING;
  const bool is_set = sensor == TCS34725 ? writeRegister(0x81, atime) && writeRegister(0x8F, gain)
                                         : writeRegister(0x81, atime) && writeRegister(0xCA, astep & 255) &&
                                               writeRegister(0xCB, astep >> 8) && writeRegister(0xAA, gain);
  const bool is_started = is_set && writeRegister(0x80, 0x03);
  stage_since = millis();
  return is_started;
}

static bool takeCounts() {
  uint8_t bytes[13];
  if (sensor == TCS34725) {
    if (!readRegisters(0xA0 | 0x14, bytes, 8)) return false;
    for (uint8_t i = 0; i < 4; i++) counts[i] = bytes[2 * i] | (uint16_t)bytes[2 * i + 1] << 8;
    return writeRegister(0x80, 0x01);
  }
  if (!readRegisters(0x94, bytes, 13)) return false;  // reading ASTATUS latches all six
  uint16_t six[6], most = 0;
  for (uint8_t i = 0; i < 6; i++) {
    six[i] = bytes[2 * i + 1] | (uint16_t)bytes[2 * i + 2] << 8;
    most = max(most, six[i]);
  }
  if (bytes[0] & 0x80 && most < min((atime + 1ul) * (astep + 1ul), 65535ul))  // no counter is full: it was the analog part,
    memset(six, 0xFF, sizeof six);                                           // and no count of this pass is to be trusted
  for (uint8_t i = 0; i < 4; i++) counts[4 * pass + i] = six[i];
  counts[8] = six[4];
  counts[9] = six[5];
  return writeRegister(0x80, 0x01);
}

static void endRead(bool well, Error otherwise) {
  stage = AT_REST;
  framed = read_framed;
  is_action = has_last && read_seq == last_seq;  // else another action came since, and its answer is the one to keep
  beginReply(read_seq);
  if (!well) {
    refuse(otherwise);
    return;
  }
  put("OK");
  for (uint8_t i = 0; i < (sensor == TCS34725 ? 4 : 10); i++) {
    put(' ');
    char digits[6];
    utoa(counts[i], digits, 10);
    put(digits);
  }
  endReply();
}

static void watchRead() {
  static uint32_t asked;
  if (stage == AT_REST || millis() - asked < 2) return;
  const bool is_wiring = stage == WIRING;
  const uint32_t earliest = !is_wiring ? longestIntegrationMs() : sensor == TCS34725 ? SENSOR_POWER_UP : 0;
  if (millis() - stage_since < earliest) return;
  asked = millis();
  uint8_t status = 0;
  const uint8_t reg = is_wiring ? 0x80 : sensor == TCS34725 ? 0x93 : 0xA3;
  const uint8_t bit = is_wiring ? 0x10 : sensor == TCS34725 ? 0x01 : 0x40;
  if (!readRegisters(reg, &status, 1)) {
    endRead(false, SENSOR);
    return;
  }
  const bool is_ready = is_wiring ? !(status & bit) : status & bit;
  if (!is_ready) {
    if (asked - stage_since > earliest + SENSOR_GRACE) endRead(false, SENSOR);
    return;
  }
  if (is_wiring) {
    if (!startIntegration()) endRead(false, SENSOR);
    return;
  }
  if (!takeCounts()) {
    endRead(false, SENSOR);
    return;
  }
  if (sensor == AS7341 && pass == 0) {
    pass = 1;
    if (!beginPass()) endRead(false, SENSOR);
    return;
  }
  endRead(true, SENSOR);
}

// ---- words ----------------------------------------------------------------------------------------------------------
static char *nextWord(char **rest) {
  char *p = *rest;
  while (*p == ' ') p++;
  if (!*p) return 0;
  char *word = p;
  while (*p && *p != ' ') p++;
  if (*p) *p++ = 0;
  *rest = p;
  return word;
}
// A whole number from `low` to `high`; of `decimals` 1, tenths of it are counted.
static Error number(char **rest, int32_t low, int32_t high, int32_t *value, uint8_t decimals = 0) {
  char *word = nextWord(rest);
  if (!word || !((*word >= '0' && *word <= '9') || (*word == '-' && word[1] >= '0' && word[1] <= '9'))) return SYNTAX;
  if (strlen(word) > 10) return RANGE;
  char *end;
  int32_t v = strtol(word, &end, 10);
  if (decimals) {
    if (v > 200000 || v < -200000) return RANGE;
    v *= 10;
    if (*end == '.' && end[1] >= '0' && end[1] <= '9') {
      v += end[1] - '0';
      end += 2;
    }
  }
  if (*end) return SYNTAX;
  if (v < low || v > high) return RANGE;
  *value = v;
  return Error(0);
}
static bool isOver(char *rest) { return !nextWord(&rest); }

static Error mayMove(uint8_t i) {
  if (stopped) return STOPPED;
  if (stage != AT_REST || pump[i].on) return BUSY;
  if (nRunning() >= PUMPS_AT_ONCE) return SUPPLY;
  return Error(0);
}

static Error dispense(uint16_t seq, char *rest, uint32_t *lasts) {
  int32_t i, tenths;
  if (Error e = number(&rest, 0, DRAIN_PUMP - 1, &i)) return e;
  if (Error e = number(&rest, 1, 320000, &tenths, 1)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (Error e = mayMove(i)) return e;
  if (!calibrated) return UNCALIBRATED;
  int32_t then = cell + tenths;  // with what other pumps are still adding
  for (uint8_t k = 0; k < DRAIN_PUMP; k++)
    if (pump[k].on) then += pump[k].tenths;
  if (then > (int32_t)calibration.cell * 10) return FULL;
  const float us = (float)tenths * 1e5f / calibration.flow[i] + calibration.dead[i] + 0.5f;
  if (us < 1 || us > LONGEST_RUN) return RANGE;
  *lasts = (uint32_t)us;
  startPump(i, seq, tenths, *lasts);
  while (endsSoon()) watchRuns();  // shorter than it takes to answer
  return Error(0);
}

static Error drain(uint16_t seq, char *rest, uint32_t *lasts) {
  if (!isOver(rest)) return SYNTAX;
  if (Error e = mayMove(DRAIN_PUMP)) return e;
  if (!calibrated) return UNCALIBRATED;
  const uint32_t tenths = (uint32_t)calibration.cell * 12;  // a full cell and a fifth: then it draws air
  const float us = (float)tenths * 1e5f / calibration.flow[DRAIN_PUMP] + calibration.dead[DRAIN_PUMP] + 0.5f;
  if (us < 1 || us > LONGEST_RUN) return RANGE;
  *lasts = (uint32_t)us;
  startPump(DRAIN_PUMP, seq, tenths, *lasts);
  return Error(0);
}

static Error runRaw(uint16_t seq, char *rest) {
  int32_t i, duty, ms;
  if (Error e = number(&rest, 0, N_PUMPS - 1, &i)) return e;
  if (Error e = number(&rest, 1, 255, &duty)) return e;
  if (Error e = number(&rest, 1, LONGEST_RUN / 1000, &ms)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (Error e = mayMove(i)) return e;
  startPump(i, seq, 0, (uint32_t)ms * 1000);
  pump[i].raw = true;
  if (duty < 255) analogWrite(PUMP_PIN[i], duty);
  return Error(0);
}

static Error mix(uint16_t seq, char *rest) {
  int32_t ms;
  if (Error e = number(&rest, 1, LONGEST_MIX / 1000, &ms)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (stopped) return STOPPED;
  if (stirrer.on || stage != AT_REST) return BUSY;
  done_seq = seq;
  done_asked = done_moved = 0;
  stirrer = {true, false, micros(), (uint32_t)ms * 1000, 0, seq};
  digitalWrite(STIRRER_PIN, HIGH);
  return Error(0);
}

static Error light(char *rest) {
  int32_t on;
  if (Error e = number(&rest, 0, 1, &on)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (stopped) return STOPPED;
  if (stage != AT_REST) return BUSY;
  digitalWrite(LED_PIN, on);
  return Error(0);
}

static Error setSensor(char *rest) {
  int32_t g, a, s = 0;
  if (sensor == NO_SENSOR) return SENSOR;
  if (Error e = number(&rest, 0, sensor == TCS34725 ? 3 : 10, &g)) return e;
  if (Error e = number(&rest, 0, 255, &a)) return e;
  if (sensor == AS7341)
    if (Error e = number(&rest, 0, 65534, &s)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (stage != AT_REST) return BUSY;
  const uint8_t old_atime = atime;
  const uint16_t old_astep = astep;
  atime = a;
  astep = s;
  if (integrationMs() > LONGEST_INTEGRATION) {
    atime = old_atime;
    astep = old_astep;
    return RANGE;
  }
  gain = g;
  return Error(0);
}

static Error startRead(uint16_t seq, char *rest) {
  if (!isOver(rest)) return SYNTAX;
  if (stopped) return STOPPED;
  if (stage != AT_REST || nRunning()) return BUSY;
  freeBus();
  if (sensor == NO_SENSOR && !findSensor()) return SENSOR;
  read_seq = seq;
  read_framed = framed;
  pass = 0;
  if (!beginPass()) {
    stage = AT_REST;
    return SENSOR;
  }
  return Error(0);
}

static Error calibrate(char *rest) {
  int32_t i, flow, dead;
  if (Error e = number(&rest, 0, N_PUMPS - 1, &i)) return e;
  if (Error e = number(&rest, 1, 60000, &flow)) return e;
  if (Error e = number(&rest, -2000000, 2000000, &dead)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (isMoving()) return BUSY;
  forgetCalibration();
  calibration.flow[i] = flow;
  calibration.dead[i] = dead;
  return Error(0);
}

static Error setCell(char *rest) {
  int32_t ul;
  if (Error e = number(&rest, 100, 60000, &ul)) return e;
  if (!isOver(rest)) return SYNTAX;
  if (isMoving()) return BUSY;
  forgetCalibration();
  calibration.cell = ul;
  cell = (int32_t)ul * 10;
  return Error(0);
}

static Error keepCalibration(char *rest) {
  char *id = nextWord(&rest);
  if (!id || !isOver(rest)) return SYNTAX;
  if (strlen(id) >= sizeof calibration.id) return RANGE;
  for (const char *p = id; *p; p++)
    if (!isalnum(*p) && *p != '-') return SYNTAX;
  if (isMoving()) return BUSY;
  for (uint8_t i = 0; i < N_PUMPS; i++)
    if (!calibration.flow[i]) return UNCALIBRATED;
  strcpy(calibration.id, id);
  saveCalibration();
  return Error(0);
}

static char state() { return stopped ? 'S' : isMoving() ? 'B' : stage != AT_REST ? 'R' : 'I'; }

static void tellState() {
  put("OK ");
  put(state());
  putField(stopped);
  putTenths(cell);
  putField(has_last ? last_seq : 0);
  putField(done_seq);
  putTenths(done_asked);
  putTenths(done_moved);
  putField(millis() / 1000);
  putField(reset_flags);
  endReply();
}

static void tellCalibration(char *rest) {
  if (isOver(rest)) {
    put("OK");
    putField(calibrated);
    put(' ');
    put(calibration.id);
    putField(calibration.cell);
    endReply();
    return;
  }
  int32_t i;
  if (Error e = number(&rest, 0, N_PUMPS - 1, &i)) return refuse(e);
  put("OK");
  putField(calibration.flow[i]);
  putField(calibration.dead[i]);
  endReply();
}

static bool is(const char *word, const char *that) { return !strcmp(word, that); }

static void answer(Error e) {
  if (e) refuse(e);
  else ok();
}

static void act(uint16_t seq, const char *word, char *rest) {
  uint32_t lasts = 0;
  if (is(word, "DISPENSE") || is(word, "DRAIN")) {
    const Error e = word[1] == 'I' ? dispense(seq, rest, &lasts) : drain(seq, rest, &lasts);
    if (e) return refuse(e);
    put("OK");
    putField(lasts / 1000 + 1);
    endReply();
  } else if (is(word, "READ?")) {
    if (Error e = startRead(seq, rest)) refuse(e);  // else the answer comes with the counts
  } else if (is(word, "MIX")) answer(mix(seq, rest));
  else if (is(word, "LED")) answer(light(rest));
  else if (is(word, "SENS")) answer(setSensor(rest));
  else if (is(word, "PUMP")) answer(runRaw(seq, rest));
  else if (is(word, "CAL")) answer(calibrate(rest));
  else if (is(word, "CELL")) answer(setCell(rest));
  else if (is(word, "CALID")) answer(keepCalibration(rest));
  else if (is(word, "CLEAR")) {
    if (digitalRead(STOP_PIN) == HIGH) return refuse(STOPPED);  // the switch is still open
    if (stopped && sensor == NO_SENSOR) findSensor();  // it may have been plugged in since
    stopped = NONE;
    ok();
  } else refuse(UNKNOWN);
}

// Questions change nothing and may be asked again; they are answered whatever the sequence number.
static bool isQuestion(const char *word) {
  return is(word, "*IDN?") || is(word, "STAT?") || is(word, "CAL?") || is(word, "PING") || is(word, "FW?");
}

static void ask(const char *word, char *rest) {
  if (is(word, "STAT?")) tellState();
  else if (is(word, "CAL?")) tellCalibration(rest);
  else if (is(word, "PING")) ok();
  else if (is(word, "FW?")) {
    put("OK");
    putField(REVISION);
    endReply();
  } else {
    put("OK " NAME);
    put(SENSOR_NAME[sensor]);
    put(VERSION);
    endReply();
  }
}

static void stopNow() {
  const bool was_reading = stage != AT_REST;
  stopAll(HOST);
  ok();
  if (was_reading) endRead(false, STOPPED);
}

static int8_t hexDigit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void framedLine(char *line, uint8_t n) {
  uint16_t crc = 0;
  for (uint8_t i = n - 4; i < n; i++) crc = crc << 4 | hexDigit(line[i]);
  if (crc != crcOf(line, n - 5)) return refuseUnreadable(CHECKSUM);
  line[n - 5] = 0;
  char *rest = line;
  int32_t seq;
  if (number(&rest, 1, 65535, &seq)) return refuseUnreadable(SYNTAX);
  last_line = millis();
  is_framed_now = framed = true;
  is_action = false;
  char *word = nextWord(&rest);
  beginReply(seq);
  if (!word) return refuse(SYNTAX);
  if (is(word, "STOP")) return stopNow();
  if (isQuestion(word)) return ask(word, rest);
  if (has_last && seq == last_seq && crc == last_crc) {  // the host did not get our answer: say it again, do nothing twice
    if (last_n) send(last_out, last_n);
    return;
  }
  if (has_last && (int16_t)((uint16_t)seq - last_seq) <= 0) return refuse(STALE);
  has_last = is_action = true;
  last_seq = seq;
  last_crc = crc;
  last_n = 0;
  act(seq, word, rest);
}

static void bareLine(char *line) {
  char *rest = line;
  char *word = nextWord(&rest);
  framed = is_action = false;
  beginReply(0);
  if (!word) return;
  const bool is_stop = is(word, "STOP");
  if (is_framed_now && !is_stop && !is(word, "*IDN?")) return refuseUnreadable(CHECKSUM);
  last_line = millis();
  if (is_stop) stopNow();
  else if (isQuestion(word)) ask(word, rest);
  else act(0, word, rest);
}

static void readLine() {
  static char line[64];
  static uint8_t n;
  static bool is_too_long;
  while (Serial.available()) {
    const char c = Serial.read();
    if (c != '\n' && c != '\r') {
      if (n < sizeof line - 1) line[n++] = c;
      else is_too_long = true;
      continue;
    }
    line[n] = 0;
    const uint8_t length = n;
    const bool was_too_long = is_too_long;
    n = 0;
    is_too_long = false;
    if (was_too_long) return refuseUnreadable(TOO_LONG);
    if (strlen(line) != length) return refuseUnreadable(CHECKSUM);  // a zero byte in it: noise
    bool is_framed_line = length > 6 && line[length - 5] == '*';
    for (uint8_t i = 1; is_framed_line && i <= 4; i++) is_framed_line = hexDigit(line[length - i]) >= 0;
    if (is_framed_line) framedLine(line, length);
    else if (length) bareLine(line);
    return;  // one line a pass: pumps, switch and watchdog do not wait for a host that never stops talking
  }
}

static void watchSafety() {
  if (isMoving() && millis() - last_line > HOST_LOSS) {
    stopAll(HOST_LOST);
    say("HOSTLOSS");
  }
  static bool was_open;
  static uint32_t open_since;
  const bool is_open = digitalRead(STOP_PIN) == HIGH;
  if (!was_open) open_since = millis();
  was_open = is_open;
  if (is_open && millis() - open_since > BOUNCE && stopped != SWITCH) {
    const bool was_reading = stage != AT_REST;
    stopAll(SWITCH);
    if (was_reading) endRead(false, STOPPED);
    say("ESTOP");
  }
}

// ---- start ----------------------------------------------------------------------------------------------------------
// Before anything else runs: why the chip was reset (a bootloader that clears it leaves it in r2), and the watchdog off, or
// the chip would be reset again on its way here.
static uint8_t mcusr __attribute__((section(".noinit")));
static uint8_t r2 __attribute__((section(".noinit")));
void keepResetCause() __attribute__((naked, used, section(".init3")));
void keepResetCause() {
  __asm__ volatile("sts %0, r2\n" : "=m"(r2));
  mcusr = MCUSR;
  MCUSR = 0;
  wdt_disable();
}

void setup() {
  reset_flags = mcusr ? mcusr : r2;
  for (uint8_t i = 0; i < N_PUMPS; i++) {
    digitalWrite(PUMP_PIN[i], LOW);  // before it is an output: a pump must not twitch
    pinMode(PUMP_PIN[i], OUTPUT);
  }
  const uint8_t others[] = {STIRRER_PIN, LED_PIN, STATUS_PIN};
  for (uint8_t pin : others) {
    digitalWrite(pin, LOW);
    pinMode(pin, OUTPUT);
  }
  pinMode(STOP_PIN, INPUT_PULLUP);
  Serial.begin(115200);
  beginBus();
  loadCalibration();
  cell = (int32_t)calibration.cell * 10;  // nobody knows what is in it
  findSensor();
  n_out = 0;
  put("!READY " NAME);
  put(SENSOR_NAME[sensor]);
  put(VERSION);
  endLine(true);
  set_sleep_mode(SLEEP_MODE_IDLE);
  wdt_enable(WDTO_2S);
}

void loop() {
  wdt_reset();
  watchRuns();
  watchSafety();
  if (endsSoon()) return;
  readLine();
  watchRead();
  digitalWrite(STATUS_PIN, stopped ? HIGH : (millis() & 512) != 0);
  cli();  // sleep, unless a byte came in meanwhile
  if (!Serial.available()) {
    sleep_enable();
    sei();
    sleep_cpu();
    sleep_disable();
  }
  sei();
}
