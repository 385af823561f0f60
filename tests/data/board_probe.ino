// What the tests of the emulated board run on it: one letter and hexadecimal numbers a line, one line back.
#include <EEPROM.h>
#include <Wire.h>
#include <avr/wdt.h>

uint8_t cause __attribute__((section(".noinit")));
uint16_t boots __attribute__((section(".noinit")));

void takeCause(void) __attribute__((naked, used, section(".init3")));
void takeCause(void) {
  cause = MCUSR;
  MCUSR = 0;
  wdt_disable();
}

static char line[96];
static uint8_t length;

static void answer(uint32_t value) { Serial.println(value, HEX); }

static void obey() {
  char *rest = line + 1;
  uint8_t word[32], n = 0;
  while (*rest && n < sizeof word) {
    char *end;
    const unsigned long value = strtoul(rest, &end, 16);
    if (end == rest) break;
    word[n++] = value;
    rest = end;
  }
  switch (line[0]) {
    case 'W':  // address, bytes: how the transmission ended
      Wire.beginTransmission(word[0]);
      Wire.write(word + 1, n - 1);
      answer(Wire.endTransmission());
      break;
    case 'R':  // address, count: the bytes
      n = Wire.requestFrom(word[0], word[1]);
      for (uint8_t i = 0; i < n; i++) {
        const uint8_t value = Wire.read();
        if (value < 16) Serial.print('0');
        Serial.print(value, HEX);
      }
      Serial.println();
      break;
    case 'P':  // 100 us on D5, exactly 1600 cycles between the two instructions of 2 cycles
      cli();
      PORTD |= 1 << 5;
      __builtin_avr_delay_cycles(1600);
      PORTD &= ~(1 << 5);
      sei();
      answer(0);
      break;
    case 'K':  // clocks on SCL, by hand
      Wire.end();
      while (word[0]--) {
        pinMode(SCL, OUTPUT);
        delayMicroseconds(5);
        pinMode(SCL, INPUT);
        delayMicroseconds(5);
      }
      Wire.begin();
      Wire.setWireTimeout(25000, true);
      answer(0);
      break;
    case 'A': analogWrite(word[0], word[1]); answer(0); break;
    case 'I': pinMode(word[0], INPUT); answer(0); break;
    case 'D': answer(digitalRead(word[0])); break;
    case 'E': EEPROM.write(word[0], word[1]); answer(0); break;
    case 'e': answer(EEPROM.read(word[0])); break;
    case 'C': answer(cause); break;
    case 'B': answer(boots); break;
    default: Serial.println('?');
  }
}

void setup() {
  boots++;
  const uint8_t outputs[] = {5, 6, 9, 10, 11, 3, 7, 13};
  for (uint8_t i = 0; i < sizeof outputs; i++) pinMode(outputs[i], OUTPUT);
  pinMode(2, INPUT_PULLUP);
  Serial.begin(115200);
  Wire.begin();
  Wire.setWireTimeout(25000, true);
  wdt_enable(WDTO_1S);
  Serial.println('!');
}

void loop() {
  wdt_reset();
  while (Serial.available()) {
    const char c = Serial.read();
    if (c == '\n') {
      line[length] = 0;
      length = 0;
      obey();
    } else if (length < sizeof line - 1) {
      line[length++] = c;
    }
  }
}
